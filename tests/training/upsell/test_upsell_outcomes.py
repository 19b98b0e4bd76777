"""Scores are brought to the rate at which shown offers are taken."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from msgspec import structs

from mersalg.engine.config import TrackingSection
from mersalg.engine.facts import CartLine, Decision, Event, Fact, Offer, PurchaseItem, Replaces
from mersalg.engine.registry import Registry
from mersalg.engine.storage.store import open_store
from mersalg.engine.upsell.likelihood import log_odds
from mersalg.training.upsell.outcomes import (
    Answers,
    outcomes_from_facts,
    recalibrated,
    with_outcomes,
)
from tests.support.models import tiny_model
from tests.training.upsell.test_upsell_likelihood import fitted_shop


def test_a_known_answer_is_recovered() -> None:
    rng = np.random.default_rng(1)
    score = rng.uniform(0.02, 0.6, 40_000)
    truth = 1 / (1 + np.exp(-(0.7 * log_odds(score) - 1.5)))
    found = recalibrated(fitted_shop(), Answers(log_odds(score), rng.random(len(score)) < truth))
    assert found.offer_slope == pytest.approx(0.7, abs=0.05)
    assert found.offer_intercept == pytest.approx(-1.5, abs=0.1)


def test_few_answers_are_refused() -> None:
    few = Answers(np.full(999, 0.1), np.ones(999, dtype=np.bool_))
    assert not few.enough
    with pytest.raises(ValueError, match="too few"):
        recalibrated(fitted_shop(), few)


def test_an_empty_database_says_that_offers_are_too_few(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = open_store(url)
    store.migrate()
    store.close()
    fitted = replace(tiny_model(), likelihood=fitted_shop())
    same, reported = with_outcomes(fitted, url, Registry(tmp_path))
    assert same is fitted
    assert reported == [
        "outcomes are not used: of versions still here 0 shown upsell offers and 0"
        " conversions are recorded; 1,000 and 50 are needed"
    ]
    assert "too few" in with_outcomes(tiny_model(), url, Registry(tmp_path))[1][0]


def _shown(number: int, version: str, score: float, *, bought: bool) -> list[Fact]:
    offer = Offer(
        f"o{number}", "upsell", "jug", 1, 200, score=score, replaces=Replaces("cup", 1, 100)
    )
    decision = Decision(
        event_id=f"d{number}",
        decision_id=f"d{number}",
        occurred_at=number,
        checkout_id=f"k{number}",
        session_id=f"s{number}",
        customer_id=None,
        placement="checkout",
        currency="NOK",
        arm="treatment",
        model_version=version,
        lines=(CartLine("cup", 1, 100),),
        offers=(offer,),
    )
    view = Event(f"v{number}", "view_promotion", number + 1, offer_id=f"o{number}")
    accepted = Event(f"a{number}", "add_to_cart", number + 2, offer_id=f"o{number}")
    sale = Event(
        f"p{number}",
        "purchase",
        number + 3,
        checkout_id=f"k{number}",
        transaction_id=f"t{number}",
        currency="NOK",
        items=(PurchaseItem("jug", 1, 200),),
    )
    return [decision, view, *((accepted, sale) if bought else ())]


def test_calibrating_again_starts_from_what_histories_gave(tmp_path: Path) -> None:
    """Offers of two versions, one of them calibrated, are read as one; others are left out."""
    platt = {"first": (1.0, 0.0), "second": (0.7, -1.5)}
    raw = np.linspace(-3.0, 1.0, 40)
    facts: list[Fact] = []
    for number, odds in enumerate(raw):
        version = ("first", "second", "gone")[number % 3]
        slope, intercept = platt.get(version, (1.0, 0.0))
        score = float(1 / (1 + np.exp(-(slope * odds + intercept))))
        facts += _shown(number, version, score, bought=number % 2 == 0)
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}")
    store.migrate()
    store.facts.append(facts)
    answers = outcomes_from_facts(store, platt.get, TrackingSection())
    # A stranger's calls, which nobody answers by buying, teach a shop nothing that counts vouched.
    strange = [_shown(number, "first", 0.5, bought=False)[:2] for number in range(100, 140)]
    sent = [structs.replace(fact, scope="storefront") for each in strange for fact in each]
    store.facts.append(sent)
    vouched = outcomes_from_facts(store, platt.get, TrackingSection(count="vouched"))
    assert vouched.converted.tolist() == answers.converted.tolist()
    assert (
        len(outcomes_from_facts(store, platt.get, TrackingSection()).odds) == len(answers.odds) + 40
    )
    store.close()
    kept = np.arange(len(raw)) % 3 < 2
    assert answers.odds == pytest.approx(raw[kept], abs=1e-4)
    assert answers.converted.tolist() == (np.flatnonzero(kept) % 2 == 0).tolist()
