"""The items that pins and blocks speak of, and the names in them that nobody knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches

import numpy as np

from mersalg.engine.arrays import Int32s
from mersalg.engine.catalogue import Catalogue
from mersalg.engine.errors import shown
from mersalg.engine.merchandising.sections import BlockSection, OffersSection, PinSection

_BETWEEN_PARTS = ">"
_MAX_GUESSES = 20
"""Unknown names for which a like one is looked for, at a fraction of a second each."""


def category_path(names: str | Sequence[str]) -> tuple[str, ...]:
    """`Dairy > Milk`, or its parts, as the parts of a path."""
    text = names if isinstance(names, str) else _BETWEEN_PARTS.join(names)
    return tuple(part.strip() for part in text.split(_BETWEEN_PARTS))


def items_of(catalogue: Catalogue, rule: PinSection | BlockSection) -> Int32s:
    """Dense indices of the items a rule speaks of, ascending; none where its name is unknown."""
    if rule.category is None:
        item = catalogue.items.index_of(rule.offered_item or "")
        return np.array([] if item is None else [item], dtype=np.int32)
    path = category_path(rule.category)
    below = np.array(
        [
            # Few of many categories begin alike; only those are taken apart.
            name.lstrip().startswith(path[0]) and category_path(name)[: len(path)] == path
            for name in catalogue.category_names
        ],
        dtype=np.bool_,
    )
    # The extra place is that of the items of no category.
    return np.flatnonzero(np.append(below, False)[catalogue.category]).astype(np.int32)


def needed_of(catalogue: Catalogue, rule: PinSection | BlockSection) -> frozenset[int] | None:
    """Return the items the cart must hold for a rule; None where one is unknown."""
    items = catalogue.items.indices_of(rule.needed_items)
    return None if -1 in items else frozenset(items)


def sensitive_of(catalogue: Catalogue, names: Sequence[str]) -> Int32s:
    """Return which of some categories each item is of, -1 for none; int32 (n_items,).

    A category counts with all below it, at whatever level its name is, in any letter case.
    """
    wanted = [tuple(part.casefold() for part in category_path(name)) for name in names]
    # The extra place is that of the items of no category.
    groups = np.full(len(catalogue.category_names) + 1, -1, dtype=np.int32)
    for code, name in enumerate(catalogue.category_names if wanted else ()):
        path = tuple(part.casefold() for part in category_path(name))
        for group, parts in enumerate(wanted):
            starts = range(len(path) - len(parts) + 1)
            if groups[code] < 0 and any(path[at : at + len(parts)] == parts for at in starts):
                groups[code] = group
    return groups[catalogue.category]


def unknown_names(catalogue: Catalogue, offers: OffersSection) -> list[str]:
    """Return a sentence for each item or category of the shop's rules that the catalogue lacks."""
    warnings: list[str] = []
    for where, rule in _rules(offers):
        names = [*rule.needed_items, *filter(None, [rule.offered_item])]
        for name in names:
            if catalogue.items.index_of(name) is None:
                guess = _like(name, catalogue.items.ids) if len(warnings) < _MAX_GUESSES else ""
                warnings.append(f"{where}: no item {shown(name)} in the catalogue{guess}")
        if rule.category is not None and not len(items_of(catalogue, rule)):
            name = f" {_BETWEEN_PARTS} ".join(category_path(rule.category))
            warnings.append(f"{where}: no item of category {shown(name)} in the catalogue")
    warnings += [
        f"offers.sensitive: no item of category {name!r} in the catalogue"
        for name in offers.sensitive
        if (sensitive_of(catalogue, [name]) < 0).all()
    ]
    return warnings


def _rules(offers: OffersSection) -> Iterator[tuple[str, PinSection | BlockSection]]:
    for index, pin in enumerate(offers.pins):
        yield f"offers.pins.{index}", pin
    for index, block in enumerate(offers.blocks):
        yield f"offers.blocks.{index}", block


def _like(name: str, known: Iterable[str]) -> str:
    matches = get_close_matches(name, list(known), n=1, cutoff=0.75)
    return f"; is {matches[0]!r} meant?" if matches else ""
