"""Reports of whole days out of the roll-ups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from engine import clock
from engine.progress import Progress
from engine.storage.store import Store
from engine.tracking.measures import Measures
from engine.tracking.period import NOT_FILLED, Part, Period
from engine.tracking.periods import TIME_KEYS, Buckets
from engine.tracking.query import ReportQuery
from engine.tracking.rollups.adding import Adder, added
from engine.tracking.rollups.cells import Cell, cell_of
from engine.tracking.rollups.rolling import made_with, refresh


def rolled_up(store: Store, query: ReportQuery, progress: Progress) -> RolledUp | None:
    """The days of a filled query; None where only the facts can tell.

    The roll-ups know whole days, the shop's own settings, and nothing of single offers.
    """
    own = ReportQuery().filled(store.reports.settings())
    bounds = (query.since, query.until)
    if (
        query.attribution_window_days
        or query.adjusted
        or any(isinstance(bound, datetime) for bound in bounds)
        or not all(key in TIME_KEYS for key in query.by)
        or made_with(query) != made_with(own)
        or not refresh(store, own, progress)
    ):
        return None
    rolled = RolledUp(store, query)
    return rolled if rolled.tells() else None


class RolledUp:
    """The cells of a period, and the checkouts that several of its days share."""

    def __init__(self, store: Store, query: ReportQuery) -> None:
        assert query.holdout is not None, NOT_FILLED
        self._query, self._holdout = query, query.holdout
        first, last = (
            None if bound is None else bound.isoformat() for bound in (query.since, query.until)
        )
        self._numbers = store.reports.rollups.numbers
        self._cells = {
            day: Cell.unpack(body) for day, body in store.reports.rollups.bodies(first, last)
        }
        self._buckets = Buckets(UTC)
        shared = store.reports.rollups.spanning(first, last)
        self._shared = frozenset(shared)
        alone = replace(query, by=(), attribution_window_days=0)
        self._spanning = Period(store.facts.read_checkouts(list(shared)), alone) if shared else None

    def currencies(self) -> frozenset[str]:
        return frozenset[str]().union(*(cell.currencies for cell in self._cells.values()))

    def tells(self) -> bool:
        """Whether every day has its money in the currency the report will be in."""
        wanted = self._query.currency
        named = self.currencies()
        if wanted is None and len(named) == 1:
            (wanted,) = named
        return all(
            cell.currency == wanted or wanted not in cell.currencies
            for cell in self._cells.values()
        )

    def total(self, currency: str | None) -> Measures:
        cells = list(self._cells.values())
        if self._spanning is not None:
            cells.append(self._shared_cell(self._spanning, self._spanning.all, currency))
        return added(cells, currency, self._holdout, Adder())

    def buckets(
        self, keys: Sequence[str], currency: str | None
    ) -> Iterator[tuple[tuple[str, ...], Measures]]:
        """The measures of each bucket of time with a decision or an order."""
        if not keys:
            return
        cells: defaultdict[tuple[str, ...], list[Cell]] = defaultdict(list)
        for day, cell in self._cells.items():
            instant = clock.to_micros(
                datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
            )
            cells[tuple(self._buckets.text(key, instant) for key in keys)].append(cell)
        if self._spanning is not None:
            for bucket, part in self._spanning.parts(keys).items():
                if bucket in cells:
                    cells[bucket].append(self._shared_cell(self._spanning, part, currency))
        adder = Adder()
        for bucket, together in cells.items():
            if any(len(cell.units) for cell in together):
                yield bucket, added(together, currency, self._holdout, adder)

    def _shared_cell(self, period: Period, part: Part, currency: str | None) -> Cell:
        """What the days left out; decisions and orders stand in the days."""
        theirs = [
            outcome
            for outcome in part.outcomes
            if outcome.placed.decision.checkout_id in self._shared
        ]
        return cell_of(period.history, (), (), theirs, {}, currency, self._numbers)

    def quality(self) -> dict[str, int]:
        names = ("duplicates", "late", "unmatched", "bots_excluded", "bots_by_rate")
        cells = self._cells.values()
        return {name: sum(cell.quality.get(name, 0) for cell in cells) for name in names}

    def unpriced(self, kinds: Sequence[str]) -> int:
        cells = list(self._cells.values())
        if self._spanning is not None:
            cells.append(self._shared_cell(self._spanning, self._spanning.all, None))
        return sum(n for cell in cells for kind, n in cell.unpriced.items() if kind in kinds)

    def other_currency(self, currency: str | None) -> int:
        return sum(
            n
            for cell in self._cells.values()
            for code, n in cell.orders_by_currency.items()
            if code != currency
        )
