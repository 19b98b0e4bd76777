"""The report: both rates in total and by group, from nothing but the facts.

The same set of facts gives the same report, byte for byte, in whatever order and however often
they arrive; it has no time stamp of its making. Where whole days are asked for by the shop's own
settings it is added up from roll-ups, to the same bytes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, cast

from mersalg.engine import money
from mersalg.engine.clock import MICROS_PER_DAY
from mersalg.engine.errors import ConfigError
from mersalg.engine.facts import Fact, Kind
from mersalg.engine.progress import Progress, SilentProgress
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import Store
from mersalg.engine.tracking.attribution import Outcome
from mersalg.engine.tracking.comparison import compared
from mersalg.engine.tracking.cuped import adjusted_entry, past_spend
from mersalg.engine.tracking.extra_sales import ExtraSales
from mersalg.engine.tracking.incremental import effects_of
from mersalg.engine.tracking.local_days import bound_text
from mersalg.engine.tracking.many import EFFECTS, judge_together
from mersalg.engine.tracking.measures import (
    NOT_FILLED,
    SPENT,
    Measures,
    Part,
    Period,
    bounds_of,
    offer_key,
)
from mersalg.engine.tracking.quality import currency_of, lines_in_doubt, open_since, without_buyers
from mersalg.engine.tracking.query import (
    TIME_KEYS,
    ReportQuery,
    folded_group,
    length_of,
    other_period,
    parse_query,
)
from mersalg.engine.tracking.rates import Entry, rates_of
from mersalg.engine.tracking.sample_ratio import Drawn, SampleRatio, sample_ratio

if TYPE_CHECKING:
    from mersalg.engine.tracking.rollups.rolled_up import RolledUp

__all__ = ["ReportQuery", "build_report", "parse_query", "report_of"]

Report = Mapping[str, Any]
Bucket = tuple[str, ...]
Group = tuple[tuple[str, ...], dict[str, object]]
Measured = tuple[Bucket, Sequence[tuple[Bucket, Measures]]]
"""A bucket of time, and its measures by keys of offers."""


def build_report(
    store: Store,
    query: ReportQuery,
    *,
    progress: Progress | None = None,
    from_facts: bool = False,
) -> dict[str, object]:
    """Return the report JSON over the facts of a store.

    Settings that the query leaves open are the shop's own. `progress` shows how many days are done
    where some have to be rolled up first; `from_facts` counts from the facts where roll-ups have
    the answer, too. Raise ConfigError where the question has no answer, or the database has an
    impossible setting; StorageUnavailable where the database does not answer.
    """
    # Roll-ups load pyarrow, which only processes that make reports may.
    from mersalg.engine.tracking.rollups.rolled_up import rolled_up

    newest = store.facts.newest()
    settings = store.reports.settings()
    filled, own = query.filled(settings), ReportQuery().filled(settings)
    other = None if filled.compare is None else other_period(filled)

    def of_period(asked: ReportQuery) -> dict[str, object]:
        n_refused = store.facts.n_refused(*bounds_of(asked))
        if not from_facts:
            rolled = rolled_up(store, asked, own, progress or SilentProgress())
            if rolled is not None:
                return _report(rolled, asked, newest, n_refused)
        _check_facts_are_there(store, asked)
        return report_of(store.facts.read(_scope_of(asked)), asked, newest, n_refused)

    report = of_period(replace(filled, compare=None))
    if other is None:
        return report
    return {**report, "comparison": compared(report, of_period(other))}


def _check_facts_are_there(store: Store, asked: ReportQuery) -> None:
    first = store.reports.rollups.facts_since()
    begin = asked.since.date() if isinstance(asked.since, datetime) else asked.since
    if first is not None and (begin is None or begin.isoformat() < first):
        raise ConfigError(
            f"from: the facts before {first} were dropped, and only their daily counts are kept:"
            " of that time there are reports of whole days by the shop's own settings, in total or"
            f" by {', '.join(TIME_KEYS)}; for all else begin at {first}"
        )


def _scope_of(filled: ReportQuery) -> FactScope:
    since, until = bounds_of(filled)
    if filled.adjusted:
        since = None  # a unit's first decision may be any time before
    # Checkouts come whole from the store; facts that a window ties together may be this far apart.
    margin = (filled.attribution_window_days or 0) * MICROS_PER_DAY
    return FactScope(
        None if since is None else since - margin, None if until is None else until + margin
    )


def report_of(
    facts: Iterable[Fact], query: ReportQuery, newest: int | None = None, n_refused: int = 0
) -> dict[str, object]:
    """Return the report JSON over `facts`, in any order; see `build_report`.

    They are all of the period, and those of other days that belong to its checkouts. What the query
    leaves open has its default. `newest` is the time of the newest fact where these are not all,
    `n_refused` the number of webhooks of the period that were refused.
    """
    filled = query.filled({})
    period = Period(facts, filled)
    return _report(period, filled, period.history.newest if newest is None else newest, n_refused)


def _report(
    source: Period | RolledUp, query: ReportQuery, newest: int | None, n_refused: int
) -> dict[str, object]:
    currency, status = currency_of(source.currencies(), query.currency)
    total, rows = (
        _measured(source, query, currency)
        if isinstance(source, Period)
        else source.measures(currency)
    )
    immature = source.immature(open_since(query, newest))
    days = length_of(query, *source.ends())
    entries = _Entries(query, currency, total.drawn, source.knows_only_accepted(), days)
    quality = {
        **source.quality,
        "refused_webhooks": n_refused,
        "srm_p_value": entries.p_value(),
        **lines_in_doubt(total.counts[kind] for kind in query.kinds),
        "other_currency": source.other_currency(currency),
        "immature": immature.total(),
        "currency": status,
    }
    return entries.report(total, _groups(query, entries, rows, immature), quality)


def _measured(
    period: Period, query: ReportQuery, currency: str | None
) -> tuple[Measures, list[Measured]]:
    """Return the measures of a period, and of its groups in each bucket of time."""
    from mersalg.engine.tracking.rollups.day_count import measured

    assert query.holdout is not None, NOT_FILLED
    past = past_spend(period.history, currency) if query.adjusted else None
    rows = _rows(period, query)
    sets = [(period.all, [period.all.outcomes])]
    sets += [(part, [*groups.values()]) for _, part, groups in rows]
    total, *of_rows = measured(sets, currency, query.holdout, past)
    following = iter(of_rows)
    return total, [
        (bucket, [(group, next(following)) for group in groups]) for bucket, _, groups in rows
    ]


def _rows(
    period: Period, query: ReportQuery
) -> list[tuple[Bucket, Part, Mapping[Bucket, list[Outcome]]]]:
    """Return each bucket of time with a decision or order, split by keys of offers."""
    rows: list[tuple[Bucket, Part, Mapping[Bucket, list[Outcome]]]] = []
    for bucket, part in period.parts(query.time_keys).items() if query.by else ():
        split: defaultdict[Bucket, list[Outcome]] = defaultdict(list)
        for outcome in part.outcomes:
            split[tuple(offer_key(key, outcome.placed) for key in query.offer_keys)].append(outcome)
        groups: defaultdict[Bucket, list[Outcome]] = defaultdict(list)
        if not query.offer_keys:
            groups[()] = part.outcomes
        for group, members in split.items() if query.offer_keys else ():
            n_units = len({member.placed.unit for member in members})
            groups[folded_group(query, group, n_units)] += members
        rows.append((bucket, part, dict(sorted(groups.items()))))
    return rows


def _groups(
    query: ReportQuery,
    entries: _Entries,
    rows: Iterable[Measured],
    n_immature: Mapping[Bucket, int],
) -> list[Group]:
    """Return the groups of a report from each bucket of time and its rows."""
    groups: list[Group] = []
    for bucket, of_bucket in rows:
        immature = {"immature": n_immature[bucket]} if query.time_keys else {}
        beside: list[dict[str, object]] = []
        ratios: Mapping[Kind, SampleRatio] | None = None
        for group, own in of_bucket:
            # All rows of a bucket have its units.
            ratios = entries.ratios(own.drawn) if ratios is None else ratios
            named = dict(zip((*query.time_keys, *query.offer_keys), (*bucket, *group), strict=True))
            kinds = entries.kinds(own, ratios, named)
            # Buckets of time have no month of their own.
            in_money = {} if immature else {"extra_sales": entries.add_extra_sales(own, kinds)}
            beside.append({**immature, **kinds, **in_money})
            groups.append((tuple(named[name] for name in query.by), beside[-1]))
        for kind in query.kinds if query.offer_keys else ():
            judge_together([cast("dict[str, Any]", each[kind]) for each in beside])
    return groups


class _Entries:
    """The entries of a report from measures.

    `drawn` are the units of the whole period. Where they are uneven a row has no effect either, for
    days have too few units to show a mismatch of their own. Where only offers that were accepted
    led to purchases (`only_accepted`), there are no rates of buyers.
    """

    def __init__(
        self,
        query: ReportQuery,
        currency: str | None,
        drawn: Mapping[Kind, Drawn],
        only_accepted: bool,
        days: float | None,
    ) -> None:
        self._query, self._currency, self._days = query, currency, days
        self._only_accepted = only_accepted
        self._whole = self.ratios(drawn)

    def ratios(self, drawn: Mapping[Kind, Drawn]) -> Mapping[Kind, SampleRatio]:
        """Test the arms of each kind."""
        assert self._query.holdout is not None, NOT_FILLED
        return {kind: sample_ratio(drawn[kind], self._query.holdout) for kind in self._query.kinds}

    def p_value(self) -> float | None:
        """Return the smallest p-value of the kinds; None without an eligible unit."""
        p_values = [each.p_value for each in self._whole.values() if each.p_value is not None]
        return min(p_values, default=None)

    def report(
        self,
        total: Measures,
        groups: list[Group],
        quality: Mapping[str, object],
    ) -> dict[str, object]:
        query, kinds = self._query, self.kinds(total, self._whole)
        together = self.add_extra_sales(total, kinds)
        return {
            "from": bound_text(query.since),
            "to": bound_text(query.until),
            "days": self._days,
            "timezone": query.timezone,
            "currency": self._currency,
            "impressions": query.impressions,
            "attribution_window_days": query.attribution_window_days,
            "checkout_days": query.checkout_days,
            "count": query.count,
            "level": query.level,
            "watched": query.watched,
            **({"folded_below": query.fold_below} if query.fold_below else {}),
            "total": kinds,
            "extra_sales": together,
            "groups": [
                {"key": dict(zip(query.by, key, strict=True)), **measured}
                for key, measured in sorted(groups, key=lambda each: each[0])
            ],
            "quality": quality,
        }

    def kinds(
        self,
        measures: Measures,
        ratios: Mapping[Kind, SampleRatio],
        key: Mapping[str, str] = MappingProxyType({}),
    ) -> dict[Kind, Entry]:
        """Return a row; `ratios` are of the part of the period that it is of, `key` is its own."""
        return {kind: self._kind(measures, kind, ratios[kind], key) for kind in self._query.kinds}

    def add_extra_sales(self, measures: Measures, kinds: Mapping[Kind, Entry]) -> Entry:
        """Add the effect in money to the kinds of a row; return that of all kinds together."""
        extra = ExtraSales(
            {kind: cast("Entry", entry["net_incremental"]) for kind, entry in kinds.items()},
            measures.strata,
            measures.between,
            currency=self._currency,
            level=self._query.level,
            watched=self._query.watched,
            days=self._days,
        )
        for kind, entry in kinds.items():
            entry["extra_sales"] = extra.of_kind(kind)
        return extra.together()

    def _kind(
        self, measures: Measures, kind: Kind, ratio: SampleRatio, key: Mapping[str, str]
    ) -> Entry:
        counts, strata = measures.counts[kind], measures.strata[kind]
        entries = effects_of(
            strata,
            measures.of_units[kind],
            reason=self._whole[kind].reason(key) or ratio.reason(key),
            currency=self._currency,
            level=self._query.level,
            watched=self._query.watched,
            unstated_by=self._query.holdout_by or "default",
        )
        effects: dict[str, Entry] = {}
        for name, spent, entry in zip(EFFECTS, SPENT, entries, strict=True):
            effect = effects[name] = ratio.entry(key) | entry
            if measures.spending is not None:
                spending = measures.spending[kind, spent]
                revenue = cast("dict[str, object]", effect["revenue_per_checkout"])
                revenue["cuped"] = adjusted_entry(
                    [
                        (spending[share, "treatment"], spending[share, "control"])
                        for share in strata.compared(spent)
                    ],
                    revenue,
                    self._currency,
                    self._query.level,
                    watched=self._query.watched,
                )
        rates = rates_of(counts, measures.ratios[kind], self._query.level)
        return {
            **(without_buyers(rates) if self._only_accepted else rates),
            "conversions": {
                "accepted_click": counts.offers_clicked_first,
                "view_through": counts.offers_converted - counts.offers_clicked_first,
                "total": counts.offers_converted,
            },
            "revenue": self._money(counts.revenue_minor) if counts.has_revenue else None,
            "net_revenue": self._money(counts.net_revenue_minor) if counts.has_revenue else None,
            "unpriced": {"numerator": counts.lines_unpriced, "denominator": counts.lines_credited},
            **effects,
        }

    def _money(self, minor: int) -> str | None:
        return None if self._currency is None else money.to_text(minor, self._currency)
