"""What customers bought steers what they are offered: from the model, and as it is reported."""

from __future__ import annotations

import csv
import re
import shutil
from datetime import UTC, datetime
from pathlib import Path

import httpx
import pytest

from mersalg.engine.config import load_config
from mersalg.engine.progress import SilentProgress
from mersalg.engine.registry import Registry
from mersalg.training.pipeline import train
from mersalg.training.ranking import ranker
from mersalg_client import checkout_token
from tests.support.habit_shop import write_habit_shop
from tests.support.servers import running_server
from tests.support.waiting import eventually


def _train(folder: Path, models: Path) -> str:
    """Train with little effort: how well a ranking does is tested elsewhere."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ranker, "N_EXAMPLES", {"discovery": 1_000, "complete": 1_000})
        patch.setattr(ranker, "_MAX_NETWORKS", 1)
        config = load_config(write_habit_shop(folder))
        trained = train(config, folder, models, n_back_test=100, progress=SilentProgress())
    return trained.version


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("habits")
    _train(folder, folder / "models")
    return folder / "models"


def _offered(client: httpx.Client, mode: str, customer: str | None) -> list[str]:
    cart = {
        "checkout_id": f"{mode}-{customer}",
        "customer_id": customer,
        "lines": [{"item_id": "i7", "quantity": 1}],
        "limits": {"cross_sell": 20, "upsell": 0},
        "mode": mode,
    }
    answer = client.post("/v1/suggestions", json=cart).json()
    decision = client.get(f"/v1/decisions/{answer['decision_id']}").json()
    # Asked again with the same customer's past, the model gives the same answer.
    assert decision["explanation"]["status"] == "complete"
    assert decision["mode"] == mode
    return [offer["item_id"] for offer in decision["offers"]]


def _bought(models: Path, customer: str) -> set[str]:
    with (models.parent / "orders.csv").open() as file:
        return {row["item_id"] for row in csv.DictReader(file) if row["customer_id"] == customer}


def test_discovery_offers_what_was_not_bought_and_learns_of_purchases(
    models: Path, tmp_path: Path
) -> None:
    bought = _bought(models, "c5")
    with running_server(tmp_path, models=models) as server, server.client() as client:
        complete, discovery = (_offered(client, mode, "c5") for mode in ("complete", "discovery"))
        assert "i157" in _offered(client, "complete", None)  # goes with i7, whoever buys
        assert bought & set(complete)
        assert discovery
        assert not bought & set(discovery)
        first = discovery[0]
        purchase = {
            "type": "purchase",
            "event_id": "p1",
            "occurred_at": "2026-11-01T10:00:00+00:00",
            "transaction_id": "t1",
            "customer_id": "c5",
            "currency": "NOK",
            "items": [{"item_id": first, "quantity": 1, "price": "10.00"}],
        }
        answer = client.post("/v1/events", json={"events": [purchase]}).json()
        assert answer["recorded"] == 1
        assert first not in _offered(client, "discovery", "c5")
        assert first in _offered(client, "discovery", "c5-unheard-of")


def test_a_model_names_no_customer(models: Path) -> None:
    model = Registry(models).load()
    assert model.customers is not None
    assert model.ranking is not None
    assert model.customers.row_of("c5", model.customer_key) >= 0
    assert model.customers.row_of("c5", b"another key, long enough") == -1
    version = models / str(Registry(models).current())
    for file in version.iterdir():
        content = re.sub(rb"[0-9a-f]{8,}", b"", file.read_bytes())  # hashes may hold any of them
        assert b"customer_id" not in content
        assert b"c59" not in content
    key = models / "customers.key"
    assert key.stat().st_mode & 0o077 == 0


def test_an_erased_customer_is_a_stranger_at_once(models: Path, tmp_path: Path) -> None:
    own = tmp_path / "models"
    shutil.copytree(models, own)
    with running_server(tmp_path, models=own) as server, server.client() as client:
        known, stranger = (_offered(client, "complete", who) for who in ("c5", "nobody-5"))
        assert known != stranger
        assert client.delete("/v1/customers/c5").raise_for_status().json()["facts"] == 1
        body = {
            "checkout_id": "after",
            "customer_id": "c5",
            "lines": [{"item_id": "i7", "quantity": 1}],
            "limits": {"cross_sell": 20, "upsell": 0},
            "mode": "complete",
        }
        answer = client.post("/v1/suggestions", json=body).json()
        assert [offer["item_id"] for offer in answer["offers"]] == stranger
        assert client.get("/v1/customers/c5").json()["facts"][0]["checkout_id"] == "after"
    model = Registry(own).load()
    assert model.customers is not None
    assert model.customers.row_of("c5", model.customer_key) == -1
    assert model.customers.row_of("c6", model.customer_key) >= 0
    # A new version does not learn them again.
    folder = tmp_path / "shop"
    folder.mkdir()
    again = Registry(own).load(_train(folder, own))
    assert again.customers is not None
    assert again.customers.row_of("c5", again.customer_key) == -1
    assert len(again.customers.hashes) == len(model.customers.hashes)


def test_a_page_learns_nothing_of_other_customers(models: Path, tmp_path: Path) -> None:
    bought, keys = _bought(models, "c5"), "storefront:front-key server:server-key"
    secret = "a secret of checkouts"
    environment = {"MERSALG_CHECKOUT_SECRET": secret}
    with running_server(tmp_path, models=models, keys=keys, environment=environment) as server:

        def offers(key: str, customer: str, **more: str) -> list[dict[str, str]]:
            cart = {
                **more,
                "checkout_id": f"{key}-{customer}",
                "customer_id": customer,
                "lines": [{"item_id": "i7", "quantity": 1}],
                "limits": {"cross_sell": 20, "upsell": 0},
                "mode": "complete",
            }
            with server.client(key=key) as client:
                return client.post("/v1/suggestions", json=cart).json()["offers"]

        def asked(key: str, customer: str) -> list[str]:
            return [offer["item_id"] for offer in offers(key, customer)]

        assert bought & set(asked("server-key", "c5"))
        # Some of the unknown fall into the control arm, where nothing is shown.
        unknown = next(found for n in range(20) if (found := asked("front-key", f"new-{n}")))
        assert asked("front-key", "c5") == unknown
        token = checkout_token(secret.encode(), "front-key-c5", "c5")
        vouched = offers("front-key", "c5", checkout_token=token)
        assert [each["item_id"] for each in vouched] == asked("server-key", "c5")
        token = checkout_token(secret.encode(), "front-key-c5", "c6")
        forged = offers("front-key", "c5", checkout_token=token)
        assert [each["item_id"] for each in forged] == unknown
        # Nor, by what is missing, what they waved away.
        offer = next(each for each in offers("server-key", "c5") if each["item_id"] in unknown)
        waved = {
            "type": "dismiss_promotion",
            "event_id": "waved",
            "occurred_at": datetime.now(UTC).isoformat(),
            "customer_id": "c5",
            "offer_id": offer["offer_id"],
        }
        with server.client(key="server-key") as shop:
            shop.post("/v1/events", json={"events": [waved]}).raise_for_status()
        eventually(lambda: offer["item_id"] not in asked("server-key", "c5"))
        assert asked("front-key", "c5") == unknown


def test_recall_without_tokens_is_a_choice_of_the_shop(models: Path, tmp_path: Path) -> None:
    keys, environment = "storefront:front-key", {"MERSALG_STOREFRONT_RECALL": "yes"}
    with (
        running_server(
            tmp_path, models=models, keys=keys, key="front-key", environment=environment
        ) as server,
        server.client() as client,
    ):
        cart = {"checkout_id": "k", "customer_id": "c5", "lines": [{"item_id": "i7"}]}
        more = {"limits": {"cross_sell": 20, "upsell": 0}, "mode": "complete"}
        offers = client.post("/v1/suggestions", json={**cart, **more}).json()["offers"]
        assert _bought(models, "c5") & {offer["item_id"] for offer in offers}
