"""`GET /v1/decisions/{id}`: every rejected candidate with its reason, then and now."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from msgspec import convert
from msgspec import json as msgspec_json
from msgspec.structs import replace

from mersalg.engine import clock
from mersalg.engine.config import OffersSection
from mersalg.engine.fact_bodies import pack
from mersalg.engine.fact_json import parse_fact, unpack
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Decision, Limits
from mersalg.engine.merchandising.reasons import REJECTIONS
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.serving.checkout import decide
from mersalg.serving.explanations import Explainer
from mersalg.serving.schemas import SuggestionRequest
from tests.support.facts import fact_to_json
from tests.support.models import tiny_model
from tests.support.openapi import fits
from tests.support.servers import publish_model, running_server


def shop(**offers: Any) -> Model:
    return tiny_model(holdout=0.0, offers=OffersSection.model_validate(offers))


def decided(model: Model | None, **body: Any) -> Decision:
    request = {"checkout_id": "c", "lines": [{"item_id": "phone-64"}], **body}
    return decide(model, convert(request, SuggestionRequest))


def explain(model: Model, decision: Decision, folder: Path, most: int = 100) -> dict[str, Any]:
    """As of a service that serves `model`, of a decision that was stored and read back."""
    stored = unpack(pack(decision))
    assert isinstance(stored, Decision)
    explained = Explainer(Registry(folder), lambda: model, lambda *_: []).explain(stored, most)
    answer = json.loads(msgspec_json.encode(explained))
    assert fits("ExplainedDecision", answer)
    return answer["explanation"]


def reasons(explanation: dict[str, Any], kind: str = "cross_sell") -> dict[str, str]:
    return {
        each["item_id"]: each["reason"] for each in explanation["rejected"] if each["kind"] == kind
    }


def test_every_rejected_candidate_has_its_reason(tmp_path: Path) -> None:
    model = shop(
        max_per_category=1,
        pins=[{"item": "charger", "position": 2}],
        blocks=[{"antecedent": ["phone-64"], "consequent": "phone-pro"}, {"item": "sim-pin"}],
    )
    decision = decided(model, exclude_item_ids=["glass-1", "nobody-knows"], declined_item_ids=["x"])
    explanation = explain(model, decision, tmp_path)
    assert [offer.item_id for offer in decision.offers] == ["charger", "phone-256"]
    assert (explanation["status"], explanation["message"]) == ("complete", None)
    assert explanation["pinned_item_ids"] == ["charger"]
    assert reasons(explanation) == {
        "case-1": "category_cap",
        "glass-1": "excluded_by_caller",
        "mount": "not_active",
        "case-pro": "incompatible",
        "buds": "kept_apart",
        "phone-64": "in_cart",
        "phone-256": "already_offered",
        "phone-pro": "blocked_rule",
    }
    assert reasons(explanation, "upsell") == {
        "phone-pro": "blocked_rule",
        "phone-128": "lower_score",
    }
    assert sum(explanation["counts"].values()) == len(explanation["rejected"])
    assert explanation["counts"]["blocked_rule"] == 2


def test_best_first_and_no_reason_left_out(tmp_path: Path) -> None:
    model = shop()
    decision = decided(model, limits={"cross_sell": 1, "upsell": 0})
    whole = explain(model, decision, tmp_path)
    scores = [each["score"] for each in whole["rejected"]]
    assert scores == sorted(scores, reverse=True)
    assert reasons(whole, "upsell") == {}
    few = explain(model, decision, tmp_path, most=len(whole["counts"]))
    assert {each["reason"] for each in few["rejected"]} == set(whole["counts"])
    assert few["counts"] == whole["counts"]
    assert explain(model, decision, tmp_path, most=0)["rejected"] == []


def test_a_past_decision_is_explained_by_the_rules_of_its_moment(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = shop(
        blocks=[{"item": "case-1", "from": "2026-11-01", "until": "2026-12-01"}],
        pins=[{"item": "sim-pin", "from": "2026-12-01"}],
    )
    moments = (
        "2026-10-31T23:59:59+01:00",
        "2026-11-01T00:00:00+01:00",
        "2026-12-01T00:00:00+01:00",
    )
    made: list[Decision] = []
    for moment in moments:
        monkeypatch.setattr(clock, "now", lambda moment=moment: parse_instant(moment))
        made.append(decided(model))
    monkeypatch.undo()
    reported = [explain(model, decision, tmp_path) for decision in made]
    assert [each["status"] for each in reported] == ["complete"] * 3
    assert [each["pinned_item_ids"] for each in reported] == [[], [], ["sim-pin"]]
    assert [reasons(each).get("case-1") for each in reported] == [None, "blocked_item", None]
    assert [decision.offers[0].item_id for decision in made] == ["case-1", "glass-1", "sim-pin"]


def test_an_older_model_is_read_from_disk_and_missed_when_it_is_gone(tmp_path: Path) -> None:
    registry = Registry(tmp_path)
    version = registry.write(shop(blocks=[{"item": "case-1"}]), {})
    decision = decided(registry.load(version))
    live = shop()
    assert reasons(explain(live, decision, tmp_path))["case-1"] == "blocked_item"
    damaged = tmp_path / version / "rules.consequent.npy"
    damaged.write_bytes(damaged.read_bytes()[:-1])
    reported = explain(live, decision, tmp_path)
    assert reported["status"] == "model_unusable"
    assert "rules.consequent.npy" in reported["message"]
    shutil.rmtree(tmp_path / version)
    reported = explain(live, decision, tmp_path)
    assert reported["status"] == "model_gone"
    assert version in reported["message"]
    assert (reported["rejected"], reported["counts"]) == ([], {})


def test_without_a_model_there_is_nothing_to_explain(tmp_path: Path) -> None:
    reported = explain(shop(), decided(None), tmp_path)
    assert reported["status"] == "no_model"


def test_what_cannot_be_made_again_is_said_to_differ(tmp_path: Path) -> None:
    model = shop()
    decision = decided(model)
    first, *rest = decision.offers
    odd = replace(first, item_id="sim-pin", offer_id="off_other")
    reported = explain(model, replace(decision, offers=(odd, *rest)), tmp_path)
    assert reported["status"] == "differs"
    assert "something else" in reported["message"]
    assert "sim-pin" not in reasons(reported)


def test_imported_decisions_are_explained_as_well_as_can_be(tmp_path: Path) -> None:
    model = shop()
    record = fact_to_json(decided(model))
    for unknown in ("limits", "control_share"):
        del record[unknown]
    imported = parse_fact(record)
    assert isinstance(imported, Decision)
    assert imported.limits is None
    assert explain(model, imported, tmp_path)["status"] == "complete"
    assert explain(model, replace(imported, model_version="v0"), tmp_path)["status"] == "model_gone"


def test_a_foreign_cart_is_asked_for_no_upsell(tmp_path: Path) -> None:
    model = shop()
    decision = decided(model, currency="EUR", lines=[{"item_id": "phone-64", "unit_price": "9"}])
    assert decision.limits == Limits(3, 0)
    reported = explain(model, decision, tmp_path)
    assert reported["status"] == "complete"
    assert reasons(reported, "upsell") == {}


def test_of_the_calls_own_lists_only_what_mattered_is_kept() -> None:
    model = shop()
    decision = decided(
        model, exclude_item_ids=["case-1", "gone"], declined_item_ids=["phone-256", "sim-pin"]
    )
    assert decision.excluded_item_ids == ("case-1",)
    assert decision.declined_item_ids == ("phone-256",)
    assert "phone-256" not in {offer.item_id for offer in decision.offers}
    plain = fact_to_json(decided(model))
    assert {"excluded_item_ids", "declined_item_ids"}.isdisjoint(plain)
    assert plain["limits"] == {"cross_sell": 3, "upsell": 1}


@pytest.mark.parametrize(
    "damage",
    [
        {"limits": {"cross_sell": 3}},
        {"limits": {"cross_sell": 3, "upsell": -1}},
        {"limits": {"cross_sell": True, "upsell": 1}},
        {"limits": []},
        {"excluded_item_ids": "case-1"},
        {"declined_item_ids": [None]},
    ],
)
def test_damaged_records_are_refused(damage: dict[str, Any]) -> None:
    from mersalg.engine.errors import FactRejected

    with pytest.raises(FactRejected):
        parse_fact({**fact_to_json(decided(shop())), **damage})


def test_the_shops_own_pick_says_so() -> None:
    model = shop(pins=[{"item": "sim-pin"}])
    english, norwegian = (decided(model, locale=locale).offers[0].text for locale in ("en", "nb"))
    assert (english, norwegian) == ("Picked by Phone shop", "Valgt av Phone shop")
    # What a rule speaks for says that instead.
    ruled = shop(pins=[{"item": "glass-1"}])
    assert decided(ruled).offers[0].text.startswith("Bought together with Phone 64 GB")


def test_the_service_explains_over_http(tmp_path: Path) -> None:
    version = publish_model(tmp_path / "models", shop(blocks=[{"item": "glass-1"}]))
    with running_server(tmp_path) as server, server.client() as client:
        answer = client.post(
            "/v1/suggestions",
            json={
                "checkout_id": "c",
                "lines": [{"item_id": "phone-64"}],
                "exclude_item_ids": ["buds"],
            },
        ).json()
        path = f"/v1/decisions/{answer['decision_id']}"
        reported = client.get(path).json()
        assert reported["model_version"] == version
        found = reasons(reported["explanation"])
        assert (found["glass-1"], found["buds"]) == ("blocked_item", "excluded_by_caller")
        assert len(client.get(path, params={"rejected": 1}).json()["explanation"]["rejected"]) == 1
        assert client.get(path, params={"rejected": -1}).status_code == 422
        document = client.get("/openapi.json").json()
        schemas = document["components"]["schemas"]
        listed = schemas["RejectedCandidate"]["properties"]["reason"]
        assert listed["enum"] == [reason.code for reason in REJECTIONS]
        assert all(f"`{code}`" in listed["description"] for code in listed["enum"])
        # Another version is served now; the decision is explained by its own all the same.
        publish_model(tmp_path / "models", shop())
        again = client.get(path).json()
        assert reasons(again["explanation"])["glass-1"] == "blocked_item"
