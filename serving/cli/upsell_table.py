"""`mersalg evaluate --upsell`: which upgrade and whether, beside plain baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from mersalg.engine.words import counted
from mersalg.serving.cli import console

if TYPE_CHECKING:
    from mersalg.engine.config import ShopConfig

_RANKERS = {
    "random": "random",
    "cheapest_next_tier": "cheapest of the next tier",
    "cheapest_next_tier_unbought": "the same, of what the customer never bought",
    "popular": "most popular dearer sibling",
    "popular_unbought": "the same, of what the customer never bought",
    "recently_popular": "most popular of the last 60 days",
    "transitions": "smoothed transitions",
    "mersalg": "Mersalg",
    "mersalg_unbought": "Mersalg, of what the customer never bought",
}
_GUESSES = {"base_rate": "base rate", "ladder_rate": "rate of the family", "mersalg": "Mersalg"}


def evaluate_upgrades(shop: ShopConfig, config: Path, *, as_json: bool) -> None:
    """Print the back-test of upsell.

    Raises
    ------
    DataError
        No customer's upgrades can be followed.
    """
    from mersalg.engine.errors import DataError
    from mersalg.training.reading.dataset import load_dataset
    from mersalg.training.upsell.evaluation import evaluate_upsell, tier_stability

    with console.progress_bars(quiet=as_json) as progress:
        dataset = load_dataset(shop, config.parent, progress)
        tested = evaluate_upsell(dataset, progress)
        if tested is not None:
            with progress.task("Deriving tiers on later prices"):
                stability = tier_stability(dataset, first_later_day=tested["split_day"])
            tested["tiers"] = stability.to_json()
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
        _print(tested)


def _rows(
    titles: dict[str, str], found: dict[str, Any], keys: tuple[str, ...]
) -> list[tuple[str, ...]]:
    return [(title, *(f"{found[name][key]:.4f}" for key in keys)) for name, title in titles.items()]


def _print(found: dict[str, Any]) -> None:
    which, whether = found["which"], found["whether"]
    if which is not None:
        console.print_table(
            ("ranking", ">HitRate@1", ">± 1 s.e.", ">HitRate@3", ">± 1 s.e."),
            _rows(_RANKERS, which["hit_rate"], ("at_1", "at_1_se", "at_3", "at_3_se")),
            f"Which dearer sibling, {counted(which['n'], 'later upgrade')}",
        )
        console.out.print(
            f"calibration error of the shares: {which['expected_calibration_error']:.4f}"
        )
    if whether is not None:
        console.print_table(
            ("forecast", ">AUC", ">± 1 s.e.", ">PR-AUC", ">ECE"),
            _rows(_GUESSES, whether["quality"], ("auc", "auc_se", "pr_auc", "ece")),
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
