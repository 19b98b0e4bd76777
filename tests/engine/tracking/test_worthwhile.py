"""Planted shops: the changes that pay are found, and hardly any other."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np
import pytest

from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.facts import Arm, CartLine, Decision, Offer
from mersalg.engine.tracking.incremental import effects_of
from mersalg.engine.tracking.intervals import RatioSums
from mersalg.engine.tracking.many import holm
from mersalg.engine.tracking.strata import MONEY, WHOLE, ArmSums, Strata
from mersalg.engine.tracking.worthwhile import Action, Candidate, worthwhile

N_ITEMS, N_CHECKOUTS, DAYS, SHARE = 12, 40_000, 28, 0.2
PRICE = 20_000
ANYWAY = 0.08
GOOD, BAD = 0.09, -0.05
"""What an offer adds to the share that buys its item, in a planted shop."""
SHOPS = 20


def measured(bought: Any, is_control: Any) -> Mapping[str, Any]:
    """Return the entries of the checkouts of some offer: how many bought, one a customer."""
    arms: dict[tuple[int, Arm], ArmSums] = {}
    for arm, chosen in (("control", is_control), ("treatment", ~is_control)):
        n = bought[chosen]
        total = len(n)
        every = RatioSums(total, total, total, total, total, total, total, 0)
        some = int((n > 0).sum())
        shares = RatioSums(total, some, total, some, some, total, some, total - some)

        def amounts(worth: int, n: Any = n, total: int = total) -> RatioSums:
            x, xx = int(n.sum()) * worth, int((n * n).sum()) * worth * worth
            return RatioSums(total, x, total, xx, x, total)

        of = {name: amounts(PRICE) for name in MONEY}
        of |= {name: amounts(WHOLE) for name in ("offered_units", "kept_units")}
        of |= {"converted": shares, "kept": shares, "completed": every}
        of |= {"orders": every, "kept_orders": every}
        arms[round(SHARE * WHOLE), arm] = ArmSums(of, 0)  # type: ignore[index]
    strata = Strata(arms)
    entry = effects_of(strata, strata, reason=None, currency="NOK", level=0.95, watched=True)[1]
    return {"net_incremental": entry}


@cache
def actions(seed: int, planted: bool) -> Sequence[Action]:
    """Return the changes of a shop.

    Each cart holds one thing; it is offered two items, each by the rule of what it holds. In a
    planted shop item 0 earns, and is offered to a quarter of the carts with thing 0 alone; item 1
    loses. Elsewhere no offer changes anything.
    """
    rng = np.random.default_rng(seed)
    is_control = rng.random(N_CHECKOUTS) < SHARE
    held = rng.integers(0, 4, N_CHECKOUTS)
    first = rng.integers(1, N_ITEMS, N_CHECKOUTS)
    second = 1 + (first + rng.integers(0, N_ITEMS - 2, N_CHECKOUTS)) % (N_ITEMS - 1)
    is_good = (held == 0) & (rng.random(N_CHECKOUTS) < 0.25)
    first[is_good] = 0
    effect = np.zeros(N_ITEMS)
    if planted:
        effect[:2] = GOOD, BAD
    bought = {}
    for place, offered in enumerate((first, second)):
        chance = ANYWAY + np.where(is_control, 0, effect[offered])
        bought[place] = (rng.random(N_CHECKOUTS) < chance).astype(int)
    candidates: list[Candidate] = []
    for item in range(N_ITEMS):
        has, n = (first == item) | (second == item), np.zeros(N_CHECKOUTS, int)
        for place, offered in enumerate((first, second)):
            n += bought[place] * (offered == item)
        name = f"item-{item}"
        of_all = measured(n[has], is_control[has])
        candidates.append(Candidate(name, "item", "cross_sell", (), name, of_all))
        for thing in range(4):
            of_rule = has & (held == thing)
            if of_rule.any():
                entries = measured(n[of_rule], is_control[of_rule])
                key = f"thing-{thing} -> {name}"
                candidates.append(
                    Candidate(key, "rule", "cross_sell", (f"thing-{thing}",), name, entries)
                )
    total = {"cross_sell": measured(bought[0] + bought[1], is_control)}
    decisions = [
        decision(number, int(held[number]), [int(first[number]), int(second[number])])
        for number in range(0, N_CHECKOUTS, 20)
    ]
    return worthwhile(candidates, total, DAYS, decisions)


def decision(number: int, held: int, offered: Sequence[int]) -> Decision:
    """Return a decision at its even place in the period."""
    return Decision(
        event_id=f"d-{number}", decision_id=f"d-{number}",
        occurred_at=number * DAYS * MICROS_PER_DAY // N_CHECKOUTS,
        checkout_id=f"c-{number}", session_id=None, customer_id=None, arm="treatment",
        model_version=None, placement="checkout", currency="NOK",
        lines=(CartLine(f"thing-{held}", 1),),
        offers=tuple(
            Offer(f"o-{number}-{at}", "cross_sell", f"item-{item}", at + 1, PRICE)
            for at, item in enumerate(offered)
        ),
    )  # fmt: skip


RIGHT = {("pin", "thing-0 -> item-0"), ("stop", "item-1")}


def names(found: Sequence[Action]) -> set[tuple[str, str]]:
    return {(each.action, each.candidate.key) for each in found}


def test_what_was_planted_is_found_in_18_of_20_shops() -> None:
    found = [names(actions(seed, planted=True)) for seed in range(SHOPS)]
    assert sum(each >= RIGHT for each in found) >= 18
    # A rule of the losing item is no other finding.
    assert max(len(each - RIGHT) for each in found) <= 1


def test_where_nothing_was_planted_there_is_at_most_one_false_change_a_shop() -> None:
    found = [actions(seed, planted=False) for seed in range(SHOPS)]
    assert max(map(len, found)) <= 1
    assert sum(map(len, found)) <= 3


def test_gains_are_what_a_week_brings() -> None:
    gains: defaultdict[str, list[float]] = defaultdict(list)
    for seed in range(3):
        for each in actions(seed, planted=True):
            assert each.gain.lower > 0
            gains[each.action].append(each.gain.value)
            if each.action == "pin":
                # Three quarters of the carts with one of four things.
                assert each.carts == pytest.approx(0.75 * N_CHECKOUTS / 4 / 4 / 20, rel=0.1)
    # Two places, of which a share of 1 / 11 is item 1's, but for those that item 0 has.
    carts = N_CHECKOUTS / 4 * (1 + 15 / 16) / (N_ITEMS - 1)
    assert np.mean(gains["stop"]) == pytest.approx(-BAD * PRICE / 100 * carts, rel=0.35)


def test_holm_rejects_from_the_smallest_on() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005], 0.05) == [True, False, False, True]
    assert holm([], 0.05) == []
    assert holm([0.5], 0.05) == [False]
