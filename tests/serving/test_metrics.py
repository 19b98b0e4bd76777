"""What `/metrics` says is documented, true, and cheap to say."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest
import yaml
from fastapi import FastAPI
from prometheus_client import CollectorRegistry, Counter, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from mersalg.serving import checkout
from mersalg.serving.app import create_app
from mersalg.serving.metrics import PARTS, REASONS, CountTally
from mersalg.serving.settings import load_settings
from tests.support.metrics import metric
from tests.support.models import tiny_model
from tests.support.servers import DEADLINE_MS, publish_model, running_server
from tests.support.waiting import eventually

DEPLOYMENT = Path(__file__).parents[2] / "serving" / "deployment"
DOCUMENT = Path(__file__).parents[2] / "docs" / "how-to" / "monitoring.md"
CART = {"checkout_id": "c1", "session_id": "s1", "lines": [{"item_id": "phone-64", "quantity": 1}]}

Client = httpx.AsyncClient


def ask(
    folder: Path, calls: Callable[[Client, FastAPI], Awaitable[None]], **settings: object
) -> None:
    """Runs `calls` against an application in this process."""
    settings = {"database_deadline_ms": DEADLINE_MS, "spool_deadline_ms": DEADLINE_MS, **settings}
    app = create_app(
        load_settings(
            {}, database=f"sqlite:///{folder / 'facts.db'}", models=folder / "models", **settings
        )
    )

    async def run() -> None:
        async with (
            app.router.lifespan_context(app),
            Client(transport=httpx.ASGITransport(app), base_url="http://localhost") as client,
        ):
            await calls(client, app)

    asyncio.run(run())


async def values(client: Client) -> dict[tuple[str, ...], float]:
    """Name and label values of each sample."""
    text = (await client.get("/metrics")).text
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_the_rules_that_ship_ask_for_metrics_and_labels_that_are_there(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    rules = yaml.safe_load((DEPLOYMENT / "alerts.yml").read_text())["groups"][0]["rules"]
    given: set[str] = set()

    async def calls(client: Client, app: FastAPI) -> None:
        del app
        text = (await client.get("/metrics")).text
        given.update(re.findall(r"^# TYPE (\w+) ", text, re.MULTILINE))

    ask(tmp_path, calls)
    asked = [name for rule in rules for name in re.findall(r"mersalg_\w+", rule["expr"])]
    assert len(asked) == len(rules)
    assert set(asked) <= given
    named = [each for rule in rules for each in re.findall(r'reason=~"([\w|]+)"', rule["expr"])]
    assert {reason for each in named for reason in each.split("|")} <= set(REASONS)
    for rule in rules:
        assert rule["annotations"]["summary"].endswith(".")
        assert rule["annotations"]["description"].endswith(".")


def test_every_metric_is_documented_and_every_documented_one_is_there(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    documented = re.findall(r"^\| `(mersalg_\w+)` \| (\w+) \|", DOCUMENT.read_text(), re.MULTILINE)
    given: list[tuple[str, str]] = []

    async def calls(client: Client, app: FastAPI) -> None:
        del app
        text = (await client.get("/metrics")).text
        given.extend(re.findall(r"^# TYPE (\w+) (\w+)$", text, re.MULTILINE))

    ask(tmp_path, calls)
    # Beside each counter and histogram stands when it was begun, which the library adds.
    assert sorted(documented) == sorted(each for each in given if not each[0].endswith("_created"))
    row = DOCUMENT.read_text()
    assert all(f"`{name}`" in row for name in (*PARTS, *REASONS))


def test_the_board_reads_metrics_that_are_there() -> None:
    """The page of metrics has all that `/metrics` has, by a test above."""
    panels = json.loads((DEPLOYMENT / "grafana.json").read_text())["panels"]
    read = " ".join(target["expr"] for panel in panels for target in panel["targets"])
    page = DOCUMENT.read_text()
    documented = dict(re.findall(r"^\| `(mersalg_\w+)` \| (\w+) \|", page, re.MULTILINE))
    for name in set(re.findall(r"\bmersalg_\w+", read)):
        base = re.sub(r"_(?:bucket|sum|count)$", "", name)
        assert documented.get(base) == "histogram" if base != name else name in documented, name


def test_offers_and_parts_are_counted(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.5))

    async def calls(client: Client, app: FastAPI) -> None:
        del app
        reported: dict[str, int] = {"cross_sell": 0, "upsell": 0}
        arms = {"treatment": 0, "control": 0}
        for number in range(24):
            answer = await client.post(
                "/v1/suggestions", json={**CART, "session_id": f"s{number}", "checkout_id": "c"}
            )
            arms[answer.json()["arm"]] += 1
            for offer in answer.json()["offers"]:
                reported[offer["kind"]] += 1
        assert min(arms.values()) > 0
        found = await values(client)
        for kind, n in reported.items():
            assert found["mersalg_offers_total", "treatment", kind] == n > 0
            # The same cart every time: ghosts are as many a decision as offers.
            ghosts = found["mersalg_offers_total", "control", kind]
            assert ghosts * arms["treatment"] == n * arms["control"]
        for part in PARTS:
            assert found["mersalg_part_seconds_count", part] == 24
        total = sum(found["mersalg_part_seconds_sum", part] for part in PARTS)
        assert 0 < total <= found["mersalg_request_seconds_sum", "/v1/suggestions"]
        assert not [key for key in found if key[0] == "mersalg_degraded_total" and found[key]]

    ask(tmp_path, calls)


async def degraded(client: Client) -> set[str]:
    await client.post("/v1/suggestions", json=CART)
    return {
        key[1]
        for key, value in (await values(client)).items()
        if key[0] == "mersalg_degraded_total" and value
    }


def test_a_missing_model_and_a_failure_are_reported_by_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def without(client: Client, app: FastAPI) -> None:
        del app
        assert await degraded(client) == {"no_model"}

    ask(tmp_path, without)
    publish_model(tmp_path / "models")

    async def failing(client: Client, app: FastAPI) -> None:
        del app

        def fail(*_: object, **__: object) -> None:
            raise RuntimeError("broken")

        monkeypatch.setattr(checkout, "build_slate", fail)
        assert await degraded(client) == {"decide_failure"}

    ask(tmp_path, failing)


def test_a_database_that_is_away_is_reported_by_reason(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")

    async def calls(client: Client, app: FastAPI) -> None:
        store = app.state.service.store
        store.close()
        (tmp_path / "facts.db").unlink()
        (tmp_path / "facts.db").mkdir()
        first = await degraded(client)
        assert first == {"database_away", "deferred"}
        app.state.service.watchdog.measure()
        found = await values(client)
        assert found["mersalg_spool_segments",] == 1
        assert found["mersalg_spool_bytes",] > 100
        assert found["mersalg_database_up",] == 0

    ask(tmp_path, calls)


def test_a_slow_database_is_reported_by_reason(tmp_path: Path) -> None:
    import sqlite3

    publish_model(tmp_path / "models")

    async def calls(client: Client, app: FastAPI) -> None:
        del app
        other = sqlite3.connect(tmp_path / "facts.db", isolation_level=None)
        other.execute("begin immediate")
        assert await degraded(client) == {"deadline", "deferred"}
        other.execute("rollback")
        other.close()

    ask(tmp_path, calls, database_deadline_ms=50)


def test_the_models_age_is_that_of_its_training(tmp_path: Path) -> None:
    before = time.time()
    publish_model(tmp_path / "models")

    async def calls(client: Client, app: FastAPI) -> None:
        watchdog = app.state.service.watchdog
        watchdog.measure()
        age = (await values(client))["mersalg_model_age_seconds",]
        assert 0 < age <= time.time() - before

    ask(tmp_path, calls)


def test_workers_add_up_and_the_dead_are_silent(tmp_path: Path) -> None:
    publish_model(tmp_path / "models")
    shared = tmp_path / "shared"
    shared.mkdir()
    # As a worker that was killed while the database was away left it.
    with running_server(
        tmp_path, workers=2, environment={"PROMETHEUS_MULTIPROC_DIR": str(shared)}
    ) as server:
        alive = next(shared.glob("gauge_livemin_*.db"))
        (shared / "gauge_livemin_4194399.db").write_bytes(alive.read_bytes())
        for number in range(12):
            with server.client() as client:  # a connection each, so that both workers answer
                client.post("/v1/suggestions", json={**CART, "checkout_id": str(number)})

        def n_decided() -> float:
            with server.client() as client:  # either worker answers for both
                return metric(client, "mersalg_part_seconds_count", part="decide")

        eventually(lambda: n_decided() == 12)
        assert not (shared / "gauge_livemin_4194399.db").exists()


def test_a_tally_is_added_to_its_counter_once() -> None:
    registry = CollectorRegistry()
    count = CountTally(Counter("n", "n", registry=registry))
    count.n += 3
    count.hand_on()
    count.hand_on()
    assert "n_total 3.0" in generate_latest(registry).decode()
