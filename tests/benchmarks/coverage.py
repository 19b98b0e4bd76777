"""How often the intervals of effects and rates hold the truth, in worlds where it is known.

`python -m tests.benchmarks.coverage [RUNS]` prints how often arms raise a false alarm, then a line
for each world: the share of runs whose interval holds the truth, the share that show a gain that is
none, and how often no effect is given.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from mersalg.engine.tracking.incremental import effects_of
from mersalg.engine.tracking.rates import proportion
from mersalg.engine.tracking.sample_ratio import Drawn, sample_ratio
from mersalg.engine.tracking.strata import WHOLE, Cluster, Stratum, why_checkouts_differ
from tests.support.cluster_sums import Clusters, add_to, strata_of, strata_of_units, sums_of_trials

UNITS = (10, 20, 30, 100, 200, 1_000)
"""Units in control; nine times as many see offers."""

World = Callable[[np.random.Generator, int], Clusters]


def _arm(rng: np.random.Generator, units: int, share: float, visits: int) -> list[Cluster]:
    """Units of up to `visits` checkouts that end in a lognormal amount, alike among themselves."""
    m = rng.integers(1, visits + 1, units)
    chance = rng.beta(3 * share, 3 * (1 - share), units)
    bought, completed = rng.binomial(m, chance), rng.binomial(m, 0.7)
    per_unit = rng.lognormal(0, 0.5, units)
    amounts = [
        round(sum(rng.lognormal(7, 0.8, n)) * own) for n, own in zip(bought, per_unit, strict=True)
    ]
    orders = [
        round(sum(rng.lognormal(8, 0.8, n)) * own)
        for n, own in zip(completed, per_unit, strict=True)
    ]
    return [
        Cluster(*each)
        for each in zip(
            m.tolist(), bought.tolist(), completed.tolist(), orders, amounts, strict=True
        )
    ]


def constant(share: float, visits: int) -> World:
    """Return a world of one hold-out share, in which offers change nothing."""

    def world(rng: np.random.Generator, n_control: int) -> Clusters:
        clusters: dict[tuple[Stratum, str], Cluster] = {}
        for arm, units in (("treatment", 9 * n_control), ("control", n_control)):
            for n, cluster in enumerate(_arm(rng, units, share, visits)):
                clusters[(arm, 100_000), f"{arm}{n}"] = cluster  # type: ignore[index]
        return clusters

    return world


def raised(rng: np.random.Generator, n_control: int) -> Clusters:
    """Return two weeks without an effect: 10% held out, then half, while habits change.

    Every second unit returns; it keeps its place in the draw.
    """
    n = 10 * n_control
    place, clusters = rng.random(n), dict[tuple[Stratum, str], Cluster]()
    zeal = rng.beta(2, 2, n) * 2
    for week, (held_out, chance) in enumerate(((0.1, 0.1), (0.5, 0.3))):
        m = rng.integers(1, 4, n)
        bought = rng.binomial(m, np.minimum(1, chance * zeal))
        for unit in range(week * n // 2, n):
            arm = "control" if place[unit] < held_out else "treatment"
            x, amount = int(bought[unit]), round(bought[unit] * rng.lognormal(7, 0.8))
            key: Stratum = (arm, round(held_out * 1_000_000))
            clusters[key, str(unit)] = Cluster(int(m[unit]), x, int(m[unit]), amount, amount)
    return clusters


def units_of(rng: np.random.Generator, clusters: Clusters) -> Clusters:
    """Return what units have in all: some also buy where nothing is offered, alike in both arms."""
    strata: dict[str, Stratum] = {}
    totals: dict[str, Cluster] = {}
    for (stratum, unit), cluster in clusters.items():
        if strata.setdefault(unit, stratum) is stratum:
            n = int(rng.poisson(0.6))
            spent = round(float(rng.lognormal(8, 0.8, n).sum()))
            totals[unit] = Cluster(orders=n, completed=n, order_revenue=spent)
        add_to(totals[unit], cluster)
        totals[unit].orders += cluster.completed
    return {(strata[unit], unit): total for unit, total in totals.items()}


WORLDS: Sequence[tuple[str, World]] = (
    ("12%, one checkout a unit", constant(0.12, 1)),
    ("12%, up to six checkouts a unit", constant(0.12, 6)),
    ("40%, up to six checkouts a unit", constant(0.4, 6)),
    ("share raised from 10% to 50%", raised),
)


def false_alarms(runs: int) -> None:
    """Print how often nothing is wrong and effects are refused all the same."""
    rng = np.random.default_rng(1)
    for share in (0.02, 0.1, 0.5):
        alarms = {"of all": 0, "of a group": 0}
        for _ in range(runs):
            drawn = Drawn()
            for store, units in enumerate(rng.geometric(1 / 300, 30).tolist()):
                for segment in ("new", "loyal"):
                    n = units // 2
                    held_out = int(rng.binomial(n, share))
                    group = (f"s{store}", segment, "checkout")
                    drawn[("control", round(share * WHOLE)), group] += held_out
                    drawn[("treatment", round(share * WHOLE)), group] += n - held_out
            found = sample_ratio(drawn, 0.1)
            alarms["of all"] += found.text is not None
            alarms["of a group"] += bool(found.uneven)
        for name, n in alarms.items():
            print(f"30 stores, {share:.0%} held out: alarms {name} in {n / runs:.2%} of worlds")
    for n_control in (10, 20, 30, 100, 1_000):
        for label, alike in (("poisson", 1e9), ("skewed", 1.0), ("very skewed", 0.25)):
            n_runs, alarms_of_visits = max(1_000, runs * 30 // n_control), 0
            for _ in range(n_runs):
                zeal = rng.gamma(alike, 2 / alike, 10 * n_control)
                visits = (1 + rng.poisson(zeal)).tolist()
                clusters: dict[tuple[Stratum, str], Cluster] = {
                    (("control" if unit < n_control else "treatment", 100_000), str(unit)): Cluster(
                        m
                    )
                    for unit, m in enumerate(visits)
                }
                strata = strata_of(clusters, 0.1)
                alarms_of_visits += why_checkouts_differ(strata, strata.compared()) is not None
            print(
                f"{n_control} units in control, {label} numbers of checkouts:"
                f" not comparable in {alarms_of_visits / n_runs:.2%} of worlds",
                flush=True,
            )


def rates(runs: int) -> None:
    """Print the coverage of a rate of offers, three a decision, to customers who return."""
    for share in (0.02, 0.05, 0.1, 0.3, 0.6):
        for alike in (0.05, 0.3):
            for units in UNITS[2:]:
                rng = np.random.default_rng(units)
                covered = dict.fromkeys(("lower", "unclustered"), 0)
                for _ in range(runs):
                    trials = 3 * rng.integers(1, 7, units)
                    spread = 1 / alike - 1
                    chance = rng.beta(spread * share, spread * (1 - share), units)
                    bought = rng.binomial(trials, chance)
                    sums = sums_of_trials(list(zip(bought.tolist(), trials.tolist(), strict=True)))
                    entry = proportion(sums.sum_x, sums.sum_m, sums, 0.95)
                    for name, bounds in (("lower", entry), ("unclustered", entry["unclustered"])):
                        covered[name] += bounds["lower"] <= share <= bounds["upper"]  # type: ignore[index,operator]
                print(
                    f"rate of {share:4.0%}, alike {alike:4.2f}, {units:5} units:"
                    f" covers {covered['lower'] / runs:6.1%},"
                    f" unclustered {covered['unclustered'] / runs:6.1%}",
                    flush=True,
                )


def main(runs: int) -> None:
    """Print the coverage of each measure in each world."""
    rates(runs)
    for label, world in WORLDS:
        for n_control in UNITS:
            rng = np.random.default_rng(n_control)
            counted: dict[str, list[tuple[float, float] | None]] = {}
            # Larger worlds take longer, and fewer runs say as much of what they are asked.
            for _ in range(max(200, min(runs, runs * 100 // n_control))):
                clusters = world(rng, n_control)
                strata = strata_of(clusters, 0.1)
                of_units = strata_of_units(units_of(rng, clusters), 0.1)
                for name, watched in (("fixed", False), ("watched", True)):
                    entry: Any = effects_of(
                        strata, of_units, reason=None, currency="EUR", level=0.95, watched=watched
                    )[0]
                    units = entry["per_unit"]
                    for measure, each in (
                        ("share", entry),
                        ("basket", entry["revenue_per_checkout"]),
                        ("offered", entry["offer_revenue_per_checkout"]),
                        ("unit share", units),
                        ("unit completion", units["completion"]),
                        ("unit basket", units["revenue_per_unit"]),
                        ("unit offered", units["offer_revenue_per_unit"]),
                        ("unit orders", units["orders"]),
                    ):
                        lower, upper = each["lower"], each["upper"]
                        counted.setdefault(f"{name} {measure}", []).append(
                            None if lower is None else (float(lower), float(upper))
                        )
            for name, bounds in counted.items():
                known = [each for each in bounds if each is not None]
                covered = sum(lower <= 0 <= upper for lower, upper in known)
                gains = sum(lower > 0 for lower, _ in known)
                text = (
                    f"covers {covered / len(known):6.1%}, gains {gains / len(known):5.1%}"
                    if known
                    else "covers      –, gains     –"
                )
                refused = 1 - len(known) / len(bounds)
                print(
                    f"{label:34} {n_control:5} units {name:23} {text}, not given {refused:6.1%}",
                    flush=True,
                )


if __name__ == "__main__":
    n_runs = int(sys.argv[1]) if len(sys.argv) > 1 else 2_000
    false_alarms(n_runs)
    rates(n_runs)
    main(n_runs)
