"""The changes of a week that are worth making, in words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from mersalg.engine.facts import KINDS, Decision
from mersalg.engine.live_catalogue import InForce, rule_of
from mersalg.engine.tracking.worthwhile import Action, Candidate, worthwhile
from mersalg.serving.presentation.figures import EntryWords, few_digits
from mersalg.serving.presentation.names import Key, Names, is_decided, parts_of

RECENT = 2_000
"""Decisions that are looked at for where something is suggested."""


@dataclass(frozen=True, slots=True)
class Worth:
    """One change that is worth making, in words."""

    action: Action
    title: str
    reason: str
    gain: str
    gain_range: str


def worth_doing(
    reports: Mapping[Key, Mapping[str, Any]],
    rules: Sequence[InForce],
    decisions: Sequence[Decision],
    names: Names,
    words: EntryWords,
) -> list[Worth]:
    """Return the changes that watched reports of one period by item, rule and upgrade carry.

    What pins and blocks in force are of is not proposed; `decisions` are the newest ones.
    """
    whole = reports["item"]
    if not whole["days"]:
        return []
    candidates = list(_candidates(reports, rules))
    actions = worthwhile(candidates, whole["total"], whole["days"], decisions)
    return [_worth(each, names, words, whole["currency"]) for each in actions]


def _candidates(
    reports: Mapping[Key, Mapping[str, Any]], rules: Sequence[InForce]
) -> Iterator[Candidate]:
    for by, report in reports.items():
        for group in report["groups"]:
            key = group["key"][by]
            beside, item_id = parts_of(by, key)
            for kind in KINDS if item_id and rule_of(rules, beside, item_id) is None else ():
                is_stop = by == ("item" if kind == "cross_sell" else "upgrade")
                if kind in group and (is_stop or by == "rule") and is_decided(group[kind]):
                    yield Candidate(key, by, kind, beside, item_id, group[kind])


def _worth(action: Action, names: Names, words: EntryWords, currency: str | None) -> Worth:
    of, phrase = action.candidate, words.phrase
    net, gain = of.measured["net_incremental"], action.gain
    texts = {
        "name": names[of.item_id],
        "beside": names.joined(of.antecedent),
        "with_offer": words.percent(net["treatment"]["value"]),
        "without": words.percent(net["control"]["value"]),
        "carts": words.count(round(action.carts)),
    }
    said = action.action + ("_upgrade" if of.by == "upgrade" else "")
    value, lower, upper = (
        few_digits(Decimal(each)) for each in (gain.value, gain.lower, gain.upper)
    )
    return Worth(
        action,
        phrase(f"worth_{said}", **texts),
        phrase(f"worth_{said}_why", **texts),
        phrase("a_week", amount=words.amount(value, currency, sign=True)),
        words.range({"lower": lower, "upper": upper}, lambda each: words.amount(each, None)),
    )
