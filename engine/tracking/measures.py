"""What a report says of one period and one set of offers, before it becomes rates."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from engine.facts import KINDS, Arm, Decision, Kind
from engine.tracking import counting, incremental
from engine.tracking.attribution import Outcome
from engine.tracking.counts import ArmCounts, Counts, Drawing
from engine.tracking.cuped import Unit, with_past
from engine.tracking.drawing import drawing_of
from engine.tracking.history import History, Order


@dataclass(frozen=True, slots=True)
class Measures:
    """Counts of both kinds, of both arms, and how units were drawn in the period."""

    counts: Mapping[Kind, Counts]
    arms: Mapping[Kind, Mapping[Arm, ArmCounts]]
    drawing: Drawing
    spending: Mapping[Kind, Mapping[Arm, Sequence[Unit]]] | None = None
    """What units spent and had spent before, where that was asked for."""


class Measuring:
    """One period of a history, ready to be measured over sets of its offers."""

    def __init__(
        self,
        history: History,
        decisions: Sequence[Decision],
        orders: Sequence[Order],
        currency: str | None,
        holdout: float,
        past: Mapping[str, int] | None = None,
    ) -> None:
        self._history, self._currency, self._past = history, currency, past
        self._buying = counting.buying_units(history, decisions, orders)
        self._drawing = drawing_of(decisions, history.units, holdout)

    def of(self, outcomes: Sequence[Outcome]) -> Measures:
        counts: dict[Kind, Counts] = {}
        arms: dict[Kind, Mapping[Arm, ArmCounts]] = {}
        spending: dict[Kind, Mapping[Arm, Sequence[Unit]]] = {}
        for kind in KINDS:
            members = [each for each in outcomes if each.placed.offer.kind == kind]
            placed = [each.placed for each in members]
            counts[kind] = counting.count(
                members, self._buying, self._history.orders_of, self._currency
            )
            clusters = incremental.clusters_of(self._history, placed, self._currency)
            arms[kind] = incremental.arm_counts(clusters)
            if self._past is not None:
                spending[kind] = with_past(clusters, self._past)
        return Measures(counts, arms, self._drawing, None if self._past is None else spending)
