"""The words of reports: for each number a name, a definition and a formula, in each language."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from string import Formatter
from typing import Any

from mersalg.engine.facts import KINDS
from mersalg.engine.locales import Language
from mersalg.engine.words import read_toml

RATES = ("customer", "offer", "order", "checkout", "penetration", "click_through")
MEASURES = ("conversions", "revenue", "incremental", "extra_sales", "completion")
QUALITY = (
    *("orders", "checkouts", "superseded", "other_promotions"),
    *("unvouched", "without_decision", "orders_without_checkout"),
    *("duplicates", "reused_transactions", "reused_checkouts"),
    *("late", "early", "unmatched", "refund_mismatch", "refused_webhooks"),
    *("bots_excluded", "bots_by_rate", "dated_on_arrival"),
    *("unpriced", "repriced", "untaxed", "other_currency", "immature"),
)
"""Counts of `quality` in the report JSON, in the order in which they are shown."""
NOT_IN_DOUBT = QUALITY[:4]
"""Those that count facts in order; the others are of facts in doubt."""

MEANS = (
    ("revenue_per_{}", "worth", "worth_not_known"),
    ("offer_revenue_per_{}", "offer_worth", "offer_worth_not_known"),
    ("offered_units", "units_bought", "units_bought_not_known"),
    ("orders", "orders_placed", "orders_placed_not_known"),
)
"""Fields of effects on checkouts or units, with the phrase of a number and that of none."""


@dataclass(frozen=True, slots=True)
class Term:
    """One number of a report."""

    name: str
    """Label of the number."""
    definition: str
    """One sentence for readers without technical background."""
    formula: str
    """How the number is computed."""
    advice: str
    """When not to trust it, or what to do about it."""
    counted: str = ""
    """What the denominator of a rate counts, of one and of several with a bar between; or what the
    revenue of a kind is; else empty."""


class _Formatter(Formatter):
    """Fills in phrases: `{n:item|items}` is the first word where `n` is 1, else the second."""

    def format_field(self, value: Any, format_spec: str) -> str:
        one, bar, others = format_spec.partition("|")
        if not bar:
            return super().format_field(value, format_spec)
        return one if str(value) == "1" else others


_FORMATTER = _Formatter()


class Glossary:
    """Terms and phrases of one language."""

    def __init__(self, language: Language) -> None:
        self.language: Language = language

    @cached_property
    def terms(self) -> Mapping[str, Term]:
        """Every term by the field of the report JSON."""
        return {name: Term(**words[self.language]) for name, words in _words()["terms"].items()}

    def phrase(self, name: str, /, **values: object) -> str:
        """Return the phrase `name` with `values` filled in."""
        phrases: dict[str, dict[str, str]] = _words()["phrases"]
        return _FORMATTER.format(phrases[name][self.language], **values)

    @property
    def explained(self) -> Sequence[Term]:
        """Terms of the explanations below a report, in the order of the report."""
        return [
            self.terms[name] for name in (*KINDS, *RATES, "net", *MEASURES, *QUALITY, "srm_p_value")
        ]


@lru_cache
def glossary_of(language: Language) -> Glossary:
    """Return the glossary of a language."""
    return Glossary(language)


@lru_cache
def _words() -> dict[str, Any]:
    words, pages, alerts = (
        read_toml("mersalg.serving.presentation", f"{name}.toml")
        for name in ("glossary", "pages", "alerts")
    )
    return {**words, "phrases": {**pages, **alerts, **words["phrases"]}}
