"""The sample-ratio-mismatch test: whether the arms have the sizes with which units were drawn.

Units are counted by their first eligible decision, for what comes after it may be the work of the
offers: each kind by itself, in all and in each group that is known before the draw.

A. Fabijan et al. (2019), "Diagnosing sample ratio mismatch in online controlled experiments".
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.facts import KINDS, Decision, Kind
from mersalg.engine.tracking.clusters import first_with_offers, is_drawn, stratum_of
from mersalg.engine.tracking.history import History
from mersalg.engine.tracking.intervals import chi2_p_value
from mersalg.engine.tracking.many import chances_of, extreme_chance, holm
from mersalg.engine.tracking.query import UNKNOWN
from mersalg.engine.tracking.rates import Entry
from mersalg.engine.tracking.strata import MISMATCH, WHOLE, Stratum, share_of
from mersalg.engine.words import counted

GROUP_KEYS = ("store", "segment", "placement")
"""Properties of a decision that are known before the unit is drawn."""

Group = tuple[str, ...]
"""The value of each of `GROUP_KEYS`."""

Drawn = Counter[tuple[Stratum, Group]]
"""Number of units by the stratum and the groups of their first eligible decision."""

Arms = tuple[int, int]
"""Units of both arms, and those in control."""

_MANY = 10_000
"""Variance of the number of units in control from which on the normal distribution serves."""


def first_eligible(
    history: History, decisions: Iterable[Decision]
) -> Mapping[Kind, Mapping[str, Decision]]:
    """Return of each kind the first eligible decision of every unit.

    `decisions` are in order of time. One that states no share is eligible.
    """
    first_of_kind: dict[Kind, dict[str, Decision]] = {kind: {} for kind in KINDS}
    for decision in decisions:
        for kind in KINDS if is_drawn(decision) else ():
            first = first_with_offers(history, decision.checkout_id, kind)
            if first is decision:
                first_of_kind[kind].setdefault(history.units[decision.decision_id], decision)
    return first_of_kind


def group_of(decision: Decision) -> Group:
    """Return the groups of a decision."""
    return tuple(
        value or UNKNOWN for value in (decision.store_id, decision.segment, decision.placement)
    )


def drawn_of(firsts: Iterable[Decision]) -> Drawn:
    """Count units from the first eligible decision of each."""
    return Counter((stratum_of(decision), group_of(decision)) for decision in firsts)


@dataclass(frozen=True, slots=True)
class Uneven:
    """A group whose arms do not have the sizes with which they were drawn."""

    key: str
    value: str
    p_value: float
    text: str


@dataclass(frozen=True, slots=True)
class SampleRatio:
    """The tests of one kind.

    `p_value` is of all units, None without any, and `text` what is uneven where all of them are;
    `uneven` are the groups that are, by Holm's correction over all groups.
    """

    p_value: float | None
    text: str | None
    uneven: Sequence[Uneven]

    def of(self, key: Mapping[str, str]) -> Sequence[Uneven]:
        """Return the uneven groups that a row of a report has units of; `key` is the row's."""
        return [each for each in self.uneven if key.get(each.key, each.value) == each.value]

    def entry(self, key: Mapping[str, str]) -> Entry:
        """Return what a row says of the tests."""
        uneven = [{"key": {each.key: each.value}, "p_value": each.p_value} for each in self.of(key)]
        return {"srm_p_value": self.p_value, "uneven": uneven}

    def reason(self, key: Mapping[str, str]) -> str | None:
        """Return why a row has no effect, and what to do; None where it may have one."""
        texts = [*filter(None, [self.text]), *(each.text for each in self.of(key))]
        if not texts:
            return None
        return (
            f"the arms are not as drawn: {'; '.join(texts)}; find what loses or moves units, or"
            " state the share they were drawn with by --holdout"
        )


def sample_ratio(drawn: Drawn, holdout: float) -> SampleRatio:
    """Test the units of a kind, and those of each group where there are several.

    `holdout` is the control share where none is stated.
    """
    everybody: dict[int, Arms] = {}
    groups: defaultdict[tuple[str, str], dict[int, Arms]] = defaultdict(dict)
    for ((arm, stated), group), n in drawn.items():
        share = share_of(stated, holdout)
        if 0 < share < WHOLE:
            for units in (
                everybody,
                *(groups[each] for each in zip(GROUP_KEYS, group, strict=True)),
            ):
                total, control = units.get(share, (0, 0))
                units[share] = total + n, control + n * (arm == "control")
    p_value = mismatch_p_value(everybody)
    failed = p_value is not None and p_value < MISMATCH
    values = Counter(key for key, _ in groups)
    tested = sorted(
        (mismatch_p_value(units) or 0.0, name)
        for name, units in groups.items()
        if values[name[0]] > 1
    )
    uneven = [
        Uneven(key, value, own, f"in {key} {value} {_text(groups[key, value], own)}")
        for (own, (key, value)), is_uneven in zip(
            tested, holm([own for own, _ in tested], MISMATCH), strict=True
        )
        if is_uneven
    ]
    return SampleRatio(p_value, _text(everybody, p_value or 0.0) if failed else None, uneven)


def _text(arms: Mapping[int, Arms], p_value: float) -> str:
    n, control = (sum(arm[at] for arm in arms.values()) for at in (0, 1))
    expected = sum(total * share for share, (total, _) in arms.items()) / WHOLE
    return (
        f"of {counted(n, 'unit')} {expected:.1f} were expected in the control arm,"
        f" {control} were seen (p = {p_value:.1g})"
    )


def mismatch_p_value(arms: Mapping[int, Arms]) -> float | None:
    """Return the p-value of the sample-ratio-mismatch test, by units a share; None without any.

    Exact where the variance is small: the number of units in control is a sum of binomial numbers,
    and those as likely as what was seen, or less, count as extreme. Else a chi-square test with one
    degree of freedom. Shares are in parts of `WHOLE`, above 0 and below 1.
    """
    if not arms:
        return None
    control = sum(each for _, each in arms.values())
    expected = sum(n * share for share, (n, _) in arms.items())
    variance = sum(n * share * (WHOLE - share) for share, (n, _) in arms.items())
    if variance >= _MANY * WHOLE**2:
        return chi2_p_value((control * WHOLE - expected) ** 2 / variance)
    chances, least = np.ones(1), 0
    for share, (n, _) in sorted(arms.items()):
        of_share, begin = _binomial(n, share / WHOLE)
        chances, least = np.convolve(chances, of_share), least + begin
    if not least <= control < least + len(chances):
        return 0.0
    return extreme_chance(chances, control - least)


def _binomial(n: int, share: float) -> tuple[NDArray[np.float64], int]:
    """Return the chances of the numbers of successes that ever occur, from the least."""
    mean = n * share
    far = 12 * math.sqrt(mean * (1 - share)) + 30
    least, most = max(0, math.floor(mean - far)), min(n, math.ceil(mean + far))
    k = np.arange(least, most, dtype=np.float64)
    ratios = (n - k) / (k + 1) * share / (1 - share)
    return chances_of(ratios), least
