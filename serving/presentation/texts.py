"""The texts of a report as plain values, and as the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mersalg.engine.locales import Language
from mersalg.serving.presentation.figures import RateText
from mersalg.serving.presentation.glossary import Glossary, Term
from mersalg.serving.presentation.verdict import Verdict


@dataclass(frozen=True, slots=True)
class KindText:
    """One of the two rates with everything that belongs to it; `rates` begins with the headline."""

    kind: str
    term: Term
    translation: str
    rates: tuple[RateText, ...]
    conversions: str
    revenue: str
    net_revenue: str
    incremental: tuple[str, ...]
    extra_sales: str
    change: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class QualityText:
    """One count of facts that do not count, with its definition."""

    term: Term
    value: str
    is_notable: bool


@dataclass(frozen=True, slots=True)
class ReportText:
    """Every text of a report."""

    glossary: Glossary
    """Words of the language that the texts are in."""
    other_language: Language
    """Language of `KindText.translation`."""
    shop: str
    period: str
    settings: tuple[str, ...]
    verdict: Verdict
    """What the report comes to."""
    kinds: tuple[KindText, ...]
    together: str
    """Extra sales a month of both kinds."""
    against: str
    """The period compared with; empty without one."""
    n_group_keys: int
    group_headers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    """`group_headers`, `groups`: `n_group_keys` columns of keys, then the kind, its rate, counts
    and money kept."""
    quality: tuple[QualityText, ...]
    notes: tuple[str, ...]
    """Problems with the data, one sentence each; one that says so where there are none."""

    @property
    def rows(self) -> Sequence[tuple[str, Sequence[Sequence[str]]]]:
        """The report as a table: a label, then for each kind the lines of its cell."""
        terms, phrase = self.glossary.terms, self.glossary.phrase
        first = self.kinds[0] if self.kinds else None
        rows: list[tuple[str, Sequence[Sequence[str]]]] = [
            (rate.term.name, [self._cell(kind.rates[at]) for kind in self.kinds])
            for at, rate in enumerate(first.rates if first else ())
        ]
        rows.append((terms["conversions"].name, [[kind.conversions] for kind in self.kinds]))
        money = [
            [f"{kind.revenue} ({kind.term.counted})", phrase("net_value", value=kind.net_revenue)]
            for kind in self.kinds
        ]
        rows.append((terms["revenue"].name, money))
        extra = [[kind.extra_sales] for kind in self.kinds]
        if len(self.kinds) > 1:
            extra[0].append(f"{phrase('together')}: {self.together}")
        rows.append((terms["extra_sales"].name, extra))
        rows.append((terms["incremental"].name, [kind.incremental for kind in self.kinds]))
        if self.against:
            rows.append((self.against, [kind.change for kind in self.kinds]))
        return rows

    def _cell(self, rate: RateText) -> Sequence[str]:
        cell = [f"{rate.value} {rate.interval}".rstrip(), rate.fraction]
        if rate.net_value:
            net = self.glossary.phrase("net_value", value=rate.net_value)
            cell.append(f"{net} {rate.net_interval}".rstrip())
        return cell
