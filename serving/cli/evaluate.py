"""`mersalg evaluate`: the back-test of complements or upgrades, without writing a model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from mersalg.engine.errors import DataError
from mersalg.engine.mining_engines import EngineName
from mersalg.engine.words import counted, read_toml
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.engine.config import ShopConfig

_TITLES = read_toml("mersalg.serving.cli", "rankings.toml")
Level = Literal["item", "family"]


def command(
    config: Path = Path("shop.toml"),
    samples: Annotated[int, typer.Option(min=1)] = 20_000,
    engine: EngineName | None = None,
    level: Level = "item",
    upsell: Annotated[bool, typer.Option("--upsell")] = False,
    as_json: console.JsonFlag = False,
) -> None:
    """Back-test on the last orders: which ranking has a hidden item among its first ten.

    Compare what would be served with EASE, item-kNN, plain rules, popularity and what the
    customer buys most, on the same hidden items: all of them, and those that their customers had
    not bought before (discovery).
    """
    from mersalg.engine.config import load_config
    from mersalg.training.evaluation import back_test
    from mersalg.training.mining.protocol import get_engine
    from mersalg.training.reading.dataset import load_dataset

    shop = load_config(config)
    if upsell:
        _evaluate_upgrades(shop, config, as_json=as_json)
        return
    mining = get_engine(engine or shop.training.engine)
    with console.progress_bars(quiet=as_json) as progress:
        dataset = load_dataset(shop, config.parent, progress)
        if level == "family":
            from mersalg.training.evaluation import by_family

            dataset = by_family(dataset)
        tested = back_test(dataset, shop, mining, progress, n_samples=samples)
    if tested is None:
        raise DataError("too few orders to hold some out for a back-test", file=str(config))
    if as_json:
        console.print_json(tested.to_json())
    else:
        print_back_test(tested.to_json())


def print_back_test(metrics: Mapping[str, Any]) -> None:
    """Print the table of hit rates, and what it was measured on."""
    rates = metrics["hit_rate_at_10"]
    n_tested = rates["mersalg"]["n"]
    if not n_tested:
        console.out.print("back-test: no later order holds two items known from before")
        return
    discovery: Mapping[str, Any] = metrics.get("discovery_hit_rate_at_10") or {}
    columns = ["ranking", ">HitRate@10", ">± 1 s.e."]
    columns += [">not bought before", ">± 1 s.e."] if discovery else []
    rows = [
        (title, *_shown(rates[name]), *(_shown(discovery.get(name)) if discovery else ()))
        for name, title in _TITLES["complements"].items()
        if name in rates
    ]
    title = f"Hidden item among the first ten, {counted(n_tested, 'later order')}"
    console.print_table(columns, rows, title)
    reliabilities: Mapping[str, Any] = metrics.get("reliability") or {}
    for mode, reliability in reliabilities.items():
        _print_reliability(mode, reliability)
    if served := metrics.get("served"):
        _print_served(served)
    kept_apart = metrics["hidden_kept_apart"] / n_tested
    if kept_apart >= 0.005:
        console.out.print(
            f"{kept_apart:.0%} of the hidden items are seldom bought with an item of their cart:"
            " Mersalg offers them only if another item of the cart suggests them"
        )
    for reason, n_held_back in metrics.get("hidden_held_back", {}).items():
        if n_held_back:
            console.out.print(
                f"{_TITLES['held_back'][reason]} costs at most {n_held_back / n_tested:.1%}"
                " of the hidden items; hits are counted without it"
            )
    before, after = metrics["train_orders"], metrics["test_orders"]
    line = f"{counted(before, 'order')} before the split, {after:,} after"
    if metrics["upsell_coverage"] is not None:
        line += f"; a dearer version can be offered for {metrics['upsell_coverage']:.0%} of items"
    console.out.print(line)


def _print_served(served: Mapping[str, Any]) -> None:
    """Print which ranking is served, and which pairs it never offers together."""
    console.out.print(f"served: {served['reason']}; to discover: {served['discovery']}")
    if (lift := served["kept_apart_up_to_lift"]) != 1:
        pairs = "no pairs" if lift is None else f"only pairs of lift up to {lift:g}"
        console.out.print(f"{pairs} are never offered together: to exclude more costs hits")


def _shown(rate: Mapping[str, Any] | None) -> tuple[str, str]:
    if rate is None or rate["value"] is None:
        return "", ""
    return f"{rate['value']:.4f}", f"{rate['standard_error']:.4f}"


def _print_reliability(mode: str, reliability: Mapping[str, Any]) -> None:
    """Print mean scores, and the shares of the scored items that were bought."""
    # Older versions call them `said` and `came_true`.
    steps = [
        f"{step.get('predicted', step.get('said')):.3f} predicted,"
        f" {step.get('observed', step.get('came_true')):.3f} observed ({step['n']:,})"
        for step in reliability["bins"]
        if step["n"] >= 100
    ]
    error = reliability["expected_calibration_error"]
    console.out.print(f"scores, {mode} (mean distance {error:.5f}): " + "; ".join(steps))


def _evaluate_upgrades(shop: ShopConfig, config: Path, *, as_json: bool) -> None:
    """Print the back-test of upsell; raise DataError where no customer's upgrades are known."""
    from mersalg.training.reading.dataset import load_dataset
    from mersalg.training.upsell.evaluation import evaluate_upsell, tier_stability

    with console.progress_bars(quiet=as_json) as progress:
        dataset = load_dataset(shop, config.parent, progress)
        tested = evaluate_upsell(dataset, progress)
        if tested is not None:
            with progress.task("Deriving tiers on later prices"):
                day = tested["split_day"]
                tested["tiers"] = tier_stability(dataset, first_later_day=day)
    if tested is None:
        reason = "name no customers" if not len(dataset.customer_ids) else "hold too few upgrades"
        raise DataError(
            f"upsell cannot be tested: the orders {reason}, so nobody's next purchase can be"
            " compared with the one before",
            file=str(config),
        )
    if as_json:
        console.print_json(tested)
    else:
        _print_upgrades(tested)


def _rows(
    titles: dict[str, str], found: dict[str, Any], keys: tuple[str, ...]
) -> list[tuple[str, ...]]:
    return [(title, *(f"{found[name][key]:.4f}" for key in keys)) for name, title in titles.items()]


def _print_upgrades(found: dict[str, Any]) -> None:
    which, whether = found["which"], found["whether"]
    if which is not None:
        console.print_table(
            ("ranking", ">HitRate@1", ">± 1 s.e.", ">HitRate@3", ">± 1 s.e."),
            _rows(_TITLES["upgrades"], which["hit_rate"], ("at_1", "at_1_se", "at_3", "at_3_se")),
            f"Which dearer sibling, {counted(which['n'], 'later upgrade')}",
        )
        console.out.print(
            f"calibration error of the shares: {which['expected_calibration_error']:.4f}"
        )
    if whether is not None:
        console.print_table(
            ("forecast", ">AUC", ">± 1 s.e.", ">PR-AUC", ">ECE"),
            _rows(_TITLES["forecasts"], whether["quality"], ("auc", "auc_se", "pr_auc", "ece")),
            f"Whether at all, {counted(whether['n'], 'later purchase')}",
        )
        console.out.print(
            f"{whether['base_rate']:.1%} of those with a tier above went up; of all purchases"
            f" {whether['moves_up']:.1%} went up and {whether['moves_down']:.1%} down, so a raw"
            " upgrade rate says nothing without a control group"
        )
    tiers = found["tiers"]
    if tiers["n_items"]:
        console.out.print(
            f"same tier on later prices: {tiers['with_former']:.1%} of"
            f" {counted(tiers['n_items'], 'item')} as training does it, with the cuts of the"
            f" version before; {tiers['alone']:.1%} where"
            f" tiers are derived again from the later prices alone"
            f" ({tiers['mean_tiers']:.1f} tiers a ladder on average)"
        )
