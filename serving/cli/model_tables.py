"""Families, ladders and stores of a version on a terminal, for `mersalg models show`."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from mersalg.engine.errors import DataError
from mersalg.engine.words import counted
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.engine.cross_sell.rules import RuleTable
    from mersalg.engine.cross_sell.stores import StoreCounts, Stores
    from mersalg.engine.model import Model

_HOW = {
    "given": "the shop names this family",
    "learned": "learned from names and baskets",
    "category": "only the category is shared",
}

_NEAR, _FEW = 5, 20_000
_SHOWN_STORES = 3


def family_as_json(model: Model, wanted: str) -> dict[str, Any]:
    """Return the family of that name, or that of the item with that id.

    Raises DataError: no family is called so, and no item of a ladder has this id.
    """
    families = model.ladders.families
    names = list(families.names) if families is not None else []
    item = model.catalogue.items.index_of(wanted)
    lowered = wanted.strip().casefold()
    exact = [index for index, name in enumerate(names) if name.casefold() == lowered]
    if exact:
        ladder = exact[0]
    elif item is not None and model.ladders.family[item] >= 0:
        ladder = int(model.ladders.family[item])
    else:
        named = {name: f"{name!r}" for name in names} | {
            text: words for text, words in _items_by_text(model).items() if text not in names
        }
        raise DataError(
            f"no family is called {wanted!r}, and no item on a ladder has this id"
            + _close(wanted, named)
        )
    return {
        **_reasons(model, ladder),
        "members": [_entry(model, member) for member in model.ladders.members[ladder].tolist()],
    }


def _items_by_text(model: Model) -> dict[str, str]:
    """Return ids and names of items, each with how messages name the item."""
    catalogue = model.catalogue
    words: dict[str, str] = {}
    for item in range(len(catalogue)):
        item_id, name = catalogue.items[item], catalogue.names[item]
        words[item_id] = repr(item_id) if name == item_id else f"{item_id!r} ({name})"
    for item in range(len(catalogue)):
        words.setdefault(catalogue.names[item], words[catalogue.items[item]])
    return words


def _close(wanted: str, known: dict[str, str]) -> str:
    """Return `; did you mean ...?` with what holds the text, or is spelt almost like it."""
    from difflib import get_close_matches

    lowered = wanted.strip().casefold()
    if not lowered:
        return ""
    by_case: dict[str, str] = {}
    for text, words in known.items():
        by_case.setdefault(text.casefold(), words)
    texts = sorted(by_case, key=lambda text: (len(text), text))
    near = [text for text in texts if lowered in text]
    # Comparing letter by letter is slow: of very large catalogues only what begins alike.
    likely = texts if len(texts) <= _FEW else [text for text in texts if text[:1] == lowered[:1]]
    near += get_close_matches(lowered, likely[:_FEW], n=_NEAR, cutoff=0.7)
    words = list(dict.fromkeys(by_case[text] for text in near))[:_NEAR]
    return f"; did you mean {', '.join(words)}?" if words else ""


def ladder_as_json(model: Model, item_id: str) -> dict[str, Any]:
    """Return the ladder that an item is on, seen from the item.

    Raises DataError: the item is not known, or is on no ladder and has no given upgrades.
    """
    from mersalg.engine.upsell.gains import compare_items
    from mersalg.engine.upsell.packs import step_of
    from mersalg.engine.upsell.tiers import given_upgrades

    catalogue, ladders, moves = model.catalogue, model.ladders, model.ladders.moves
    item = catalogue.items.index_of(item_id)
    if item is None:
        raise DataError(
            f"no item {item_id!r} in the catalogue of version {model.version}"
            + _close(item_id, _items_by_text(model))
        )
    given = given_upgrades(catalogue, model.settings.offers, len(catalogue))
    named: list[int] = given[item].tolist()
    ladder = int(ladders.family[item])
    if ladder < 0 and not named:
        raise DataError(
            f"item {item_id!r} is on no ladder: it has no family, no usable price, or nothing"
            " else to be compared with"
        )
    members = ladders.members[ladder].tolist() if ladder >= 0 else [item]
    price = int(catalogue.price_minor[item])
    rungs: list[dict[str, Any]] = []
    for other in [*members, *(better for better in named if better not in members)]:
        kind = model.reading(item).traits.kind
        compared = compare_items(catalogue, item, other, model.settings.attributes, kind)
        other_price = int(catalogue.price_minor[other])
        dearer = other_price > price > 0
        packs = (model.reading(item).pack, model.reading(other).pack)
        step = step_of(*packs, price, other_price)
        n_to = moves.between(item, other) if moves is not None else None
        n_from = int(moves.n_from[item]) if moves is not None else 0
        rungs.append(
            {
                **_entry(model, other),
                "is_item": other == item,
                "given": other in named,
                "step": step if dearer else None,
                "gains": [_change(change) for change in compared.gains],
                "losses": [_change(change) for change in compared.losses],
                "moves_to": n_to,
                "moves_to_share": n_to / n_from if n_to is not None and n_from else None,
                "moves_back": moves.between(other, item) if moves is not None else None,
            }
        )
    reasons = _reasons(model, ladder) if ladder >= 0 else {"family": None, "method": "given"}
    return {
        "item_id": item_id,
        "version": model.version,
        "currency": catalogue.currency,
        **reasons,
        "moves": _directions(model, item) if moves is not None else None,
        "ladder": rungs,
    }


def _reasons(model: Model, ladder: int) -> dict[str, Any]:
    from mersalg.engine.upsell.tiers import METHODS

    families = model.ladders.families
    if families is None:
        return {"family": None, "method": None}
    similarity = float(families.similarity[ladder])
    return {
        "family": families.names[ladder],
        "method": METHODS[int(families.method[ladder])],
        "name_similarity": None if math.isnan(similarity) else similarity,
        "shared_words": families.words[ladder].split(),
        "pairs_met": int(families.n_together[ladder]),
        "pairs_expected": float(families.n_expected[ladder]),
        "adjusted_lift": families.adjusted_lift(ladder),
    }


def _entry(model: Model, item: int) -> dict[str, Any]:
    from mersalg.engine.money import minor_digits, to_text

    catalogue = model.catalogue
    price, pack = int(catalogue.price_minor[item]), model.reading(item).pack
    unit_price, unit = None, None
    if pack is not None and price >= 0 and pack.dimension != "span" and pack.amount > 0:
        size, unit = {"volume": (1000.0, "l"), "mass": (1000.0, "kg")}.get(
            pack.dimension, (1.0, "piece" if pack.dimension == "pieces" else pack.dimension)
        )
        unit_price = price / pack.amount * size / 10 ** minor_digits(catalogue.currency)
    tier = int(model.ladders.tier[item])
    return {
        "item_id": catalogue.items[item],
        "name": catalogue.names[item],
        "tier": tier if tier >= 0 else None,
        "price": to_text(price, catalogue.currency) if price >= 0 else None,
        "unit_price": unit_price,
        "unit": unit,
        "orders": int(model.affinity.n_orders_of_item[item]),
        "offerable": bool(catalogue.offerable[item]),
    }


def _change(change: Any) -> dict[str, str]:
    return {"attribute": change.attribute, "from": change.before, "to": change.after}


def _directions(model: Model, item: int) -> dict[str, int]:
    """Count customers' next purchases on the ladder: of a higher tier, the same, or a lower one."""
    moves, tier = model.ladders.moves, model.ladders.tier
    assert moves is not None
    row = slice(*moves.items.indptr[item : item + 2].tolist())
    step = tier[moves.items.values[row]].astype(int) - int(tier[item])
    counts = moves.counts[row]
    return {
        "purchases_followed": int(moves.n_from[item]),
        "up": int(counts[step > 0].sum()),
        "same": int(counts[step == 0].sum()),
        "down": int(counts[step < 0].sum()),
    }


def print_family(family: dict[str, Any], currency: str) -> None:
    """Print the ladder of a family."""
    _print_reasons(family)
    columns = ("tier", "item", "name", f">price ({currency})", ">unit price", ">orders")
    console.print_table(columns, map(_cells, family["members"]))


def print_ladder(ladder: dict[str, Any]) -> None:
    """Print a ladder, the dearest rung first, for a terminal of 80 columns."""
    _print_reasons(ladder)
    rungs, moves = ladder["ladder"][::-1], ladder["moves"]
    followed = moves["purchases_followed"] > 0 if moves is not None else False
    rows: list[list[str]] = []
    for rung in rungs:
        tier, item_id, name, price, unit, orders = _cells(rung)
        lines = [name, item_id] if name != item_id else [item_id]
        lines += ["the shop's own upgrade"] if rung["given"] else []
        lines += ["a bigger pack, for less a unit"] if rung["step"] == "size" else []
        lines += [f"+ {_change_text(change)}" for change in rung["gains"]]
        lines += [f"- {_change_text(change)}" for change in rung["losses"]]
        mark = f"{'●' if rung['is_item'] else ' '} {tier}"
        cells = [mark, "\n".join(lines), f"{price}\n{unit}" if unit else price, orders]
        rows.append([*cells, _moves_cell(rung)] if followed else cells)
    columns = ["|tier", "item", f">{ladder['currency']}", ">orders", ">to / back"]
    bold = [index for index, rung in enumerate(rungs) if rung["is_item"]]
    console.print_table(columns if followed else columns[:-1], rows, bold=bold)
    if moves is None or not followed:
        console.out.print("nobody's next purchase can be followed: no customer bought here twice")
        return
    console.out.print(
        "to / back: what the same customers bought next, from the marked item / to it"
    )
    if total := moves["up"] + moves["same"] + moves["down"]:
        console.out.print(
            f"of {counted(total, 'next purchase')} {moves['up'] / total:.1%} went up,"
            f" {moves['same'] / total:.1%} stayed, {moves['down'] / total:.1%} went down"
        )


def _change_text(change: dict[str, str]) -> str:
    return f"{change['attribute'].replace('_', ' ')} {change['from']} → {change['to']}"


def _moves_cell(rung: dict[str, Any]) -> str:
    if rung["moves_to"] is None:
        return ""
    if rung["is_item"]:
        return f"{rung['moves_to']:,} again"
    share = f" ({rung['moves_to_share']:.0%})" if rung["moves_to_share"] is not None else ""
    return f"{rung['moves_to']:,}{share} / {rung['moves_back']:,}"


def _cells(entry: dict[str, Any]) -> tuple[str, ...]:
    unit = f"{entry['unit_price']:,.2f}/{entry['unit']}" if entry["unit_price"] is not None else ""
    tier = "" if entry["tier"] is None else str(entry["tier"])
    name = entry["name"] if entry["offerable"] else f"{entry['name']} (not on sale)"
    return tier, entry["item_id"], name, entry["price"] or "", unit, f"{entry['orders']:,}"


def _print_reasons(reasons: dict[str, Any]) -> None:
    from rich.markup import escape

    if reasons["family"] is None:
        return
    console.out.print(f"[bold]{escape(reasons['family'])}[/]: {_HOW[reasons['method']]}")
    lines: list[str] = []
    if reasons["name_similarity"] is not None:
        lines.append(f"names {reasons['name_similarity']:.0%} alike")
    if reasons["shared_words"]:
        lines.append(f"all say {escape(' '.join(reasons['shared_words']))!r}")
    if reasons["adjusted_lift"] is not None:
        lines.append(
            f"bought together {counted(reasons['pairs_met'], 'time')},"
            f" {reasons['pairs_expected']:,.1f} by chance"
            f" (adjusted lift {reasons['adjusted_lift']:.2f})"
        )
    if lines:
        console.out.print("; ".join(lines))


def stores_as_json(model: Model, n_rules: int) -> dict[str, Any] | None:
    """Return the first `n_rules` flagged rules of each kind by store, None with one store only.

    `confidence` of a store is drawn to that of all stores as far as stores are alike.
    """
    import numpy as np

    from mersalg.engine.cross_sell.stores import MIXED

    stores = model.stores
    if stores is None:
        return None
    mixed = np.flatnonzero(stores.offered.flag == MIXED)
    offered = (model.rules.take(mixed), stores.offered.take(mixed))
    contradicted = (stores.contradicted_rules, stores.contradicted)
    return {
        "stores": len(stores.store_ids),
        "contradicted": _flagged(model, stores, *contradicted, n_rules),
        "n_contradicted": len(stores.contradicted_rules),
        "mixed": _flagged(model, stores, *offered, n_rules),
        "n_mixed": len(mixed),
    }


def _flagged(
    model: Model, stores: Stores, table: RuleTable, counts: StoreCounts, n_rules: int
) -> list[dict[str, Any]]:
    import numpy as np

    names, ids = model.catalogue.names, [*stores.store_ids, None]
    confidence, lift, shrunk = table.confidence(), table.lift(), counts.shrunk_confidence(table)
    entries: list[dict[str, Any]] = []
    for rule in np.argsort(-table.n_joint, kind="stable")[:n_rules].tolist():
        cells = range(*counts.stores.indptr[rule : rule + 2].tolist())
        log_odds = float(counts.log_odds[rule])
        entries.append(
            {
                "antecedent": [names[item] for item in table.antecedents[rule].tolist()],
                "consequent": names[int(table.consequent[rule])],
                "n_joint": int(table.n_joint[rule]),
                "confidence": float(confidence[rule]),
                "lift": float(lift[rule]),
                "odds_ratio_of_stores": float(np.exp(log_odds)) if log_odds < 700 else None,
                "stores": [
                    {
                        "store": ids[int(counts.stores.values[cell])],
                        "n_joint": int(counts.n_joint[cell]),
                        "n_antecedent": int(counts.n_antecedent[cell]),
                        "confidence": float(shrunk[cell]),
                    }
                    for cell in cells
                ],
            }
        )
    return entries


def print_stores(found: dict[str, Any] | None) -> None:
    """Print both kinds of flagged rules, with the stores that have most of their antecedents."""
    if found is None:
        console.out.print("orders are not known to be of several stores")
        return
    titles = {
        "contradicted": "not offered: the stores together contradict them",
        "mixed": "offered, and opposed by some store",
    }
    for kind, title in titles.items():
        console.out.print(f"{counted(found[f'n_{kind}'], 'rule')} {title}")
        if not found[kind]:
            continue
        columns = ("antecedent", "consequent", ">orders", ">confidence", ">lift")
        console.print_table(
            (*columns, ">odds of stores", "confidence by store"), map(_rule_cells, found[kind])
        )


def _rule_cells(rule: dict[str, Any]) -> tuple[str, ...]:
    odds = rule["odds_ratio_of_stores"]
    largest = sorted(rule["stores"], key=lambda store: -store["n_antecedent"])
    return (
        ", ".join(rule["antecedent"]),
        rule["consequent"],
        f"{rule['n_joint']:,}",
        f"{rule['confidence']:.3f}",
        f"{rule['lift']:.2f}",
        f"{odds:.2f}" if odds is not None else "",
        ", ".join(
            f"{store['store'] or 'not known'} {store['confidence']:.3f}"
            for store in largest[:_SHOWN_STORES]
        ),
    )
