"""People hear of a problem once for as long as it lasts, and what to do about it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any

import pytest

from mersalg.engine import clock
from mersalg.engine.config import AlertsSection, ShopSection
from mersalg.engine.errors import AlertNotSent, ConfigError
from mersalg.engine.storage.store import open_store
from mersalg.serving.alerts import Alert, Alerts, send
from mersalg.serving.reports import Reports
from mersalg.serving.spool import Spool
from tests.engine.tracking.test_guardrail import checkouts
from tests.support.commands import attempt, run
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server
from tests.support.small_shop import write_small_shop
from tests.support.waiting import eventually

DAY = 24 * 3600 * 1_000_000
SHOP = ShopSection(name="Kafé Prøve", currency="NOK", locale="nb")


class Webhook:
    """What arrived, and what it answers."""

    def __init__(self) -> None:
        self.messages: list[dict[str, Any]] = []
        self.status = 200
        self.url = ""

    @property
    def kinds(self) -> list[str]:
        return [message["alert"] for message in self.messages]


@pytest.fixture
def webhook() -> Iterator[Webhook]:
    hook = Webhook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.headers["Content-Type"] == "application/json"
            if hook.status == 200:
                hook.messages.append(json.loads(body))
            self.send_response(hook.status)
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            del format, args

    server = HTTPServer(("127.0.0.1", 0), Handler)
    hook.url = f"http://127.0.0.1:{server.server_port}/hook/secret"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    yield hook
    server.shutdown()
    thread.join()
    server.server_close()


class Pause:
    """Stands for the guardrail."""

    paused: str | None = None
    asked: str | None = None


@contextmanager
def alerts_of(folder: Path, hook: Webhook, guard: Pause, facts: list[Any]) -> Iterator[Any]:
    """Give a function that looks once, and the spool."""
    store = open_store(str(folder / "facts.db"))
    store.migrate()
    store.facts.append(facts)
    reports, spool = Reports(store, 0), Spool(folder / "spool", 1_000_000)
    model = tiny_model()
    section = AlertsSection(webhook=hook.url)
    alerts = Alerts(
        store, guard, reports, spool, folder / "alerts",  # pyright: ignore[reportArgumentType]
        served=lambda: model, section=lambda: section, seconds=1e-6,
    )  # fmt: skip
    try:
        yield (lambda: asyncio.run(alerts.look(model.settings.shop, section))), spool
    finally:
        spool.close()
        reports.close()
        store.close()


@pytest.mark.parametrize("locale", ["en", "nb"])
@pytest.mark.parametrize(
    "kind",
    ["paused", "asked", "blocked", "suggestions", "purchases", "spool", "refused", "trial"],
)
def test_a_message_says_what_is_wrong_and_what_to_do(kind: str, locale: str) -> None:
    shop = SHOP.model_copy(update={"locale": locale})
    message = Alert(kind, "fordi.").message(shop)
    assert message["text"] == f"Kafé Prøve: {message['what']} {message['advice']}"
    assert message["alert"] == kind
    assert len(message["advice"]) > 10
    assert "{" not in message["text"]
    assert ".." not in message["text"]


def test_a_pause_is_reported_once_until_it_is_over(tmp_path: Path, webhook: Webhook) -> None:
    guard = Pause()
    with alerts_of(tmp_path, webhook, guard, []) as (look, _):
        look()
        assert webhook.messages == []
        guard.paused = "checkouts are completed less often"
        for _ in range(3):
            look()
        assert webhook.kinds == ["paused"]
        assert "completed less often" in webhook.messages[0]["what"]
        guard.paused = None
        look()
        guard.paused = "again"
        look()
        assert webhook.kinds == ["paused", "paused"]


def test_facts_must_wait_at_two_looks(tmp_path: Path, webhook: Webhook) -> None:
    with alerts_of(tmp_path, webhook, Pause(), []) as (look, spool):
        spool.append([b"{}"])
        look()
        assert webhook.kinds == []
        look()
        look()
        assert webhook.kinds == ["spool"]


@pytest.mark.parametrize(
    ("age", "n", "kinds"),
    [
        (0, 60, set()),
        (2 * DAY, 60, {"suggestions", "purchases"}),
        (60 * DAY, 60, set()),
        (0, 0, set()),
    ],
)
def test_a_day_without_facts_is_reported_where_there_were_some(
    tmp_path: Path, webhook: Webhook, age: int, n: int, kinds: set[str]
) -> None:
    begin = clock.now() - age - 60 * 60_000_000
    facts = checkouts(begin, n, treated=0.9, untreated=0.9)
    with alerts_of(tmp_path, webhook, Pause(), facts) as (look, _):
        look()
        look()
        assert sorted(webhook.kinds) == sorted(kinds)


def test_blocked_effects_are_reported(tmp_path: Path, webhook: Webhook) -> None:
    begin = clock.now() - 600 * 60_000_000
    facts = [
        fact
        for fact in checkouts(begin, 600, treated=0.9, untreated=0.9)
        if getattr(fact, "arm", None) != "control" or int(fact.event_id[1:]) % 2
    ]
    with alerts_of(tmp_path, webhook, Pause(), facts) as (look, _):
        look()
        look()
        assert webhook.kinds == ["blocked"]


def test_a_message_that_was_not_taken_is_sent_again(tmp_path: Path, webhook: Webhook) -> None:
    guard = Pause()
    guard.paused = "harm"
    with alerts_of(tmp_path, webhook, guard, []) as (look, _):
        webhook.status = 500
        with pytest.raises(AlertNotSent, match="answered 500"):
            look()
        webhook.status = 200
        look()
        assert webhook.kinds == ["paused"]


def test_an_error_does_not_repeat_the_address(webhook: Webhook) -> None:
    webhook.status = 404
    with pytest.raises(AlertNotSent) as raised:
        send(Alert("trial"), SHOP, AlertsSection(webhook=webhook.url))
    assert "secret" not in str(raised.value)
    with pytest.raises(AlertNotSent) as raised:
        send(Alert("trial"), SHOP, AlertsSection(webhook="http://127.0.0.1:1/secret"))
    assert "secret" not in str(raised.value)


def test_the_address_may_be_in_the_environment(
    webhook: Webhook, monkeypatch: pytest.MonkeyPatch
) -> None:
    section = AlertsSection(webhook="${SHOP_HOOK}")
    with pytest.raises(ConfigError, match="SHOP_HOOK"):
        send(Alert("trial"), SHOP, section)
    monkeypatch.setenv("SHOP_HOOK", "file:///etc/passwd")
    with pytest.raises(ConfigError, match="https"):
        send(Alert("trial"), SHOP, section)
    monkeypatch.setenv("SHOP_HOOK", webhook.url)
    assert send(Alert("trial"), SHOP, section)
    assert not send(Alert("trial"), SHOP, AlertsSection())
    assert webhook.kinds == ["trial"]


def test_check_sends_a_trial_message_and_a_refused_training_is_reported(
    tmp_path: Path, webhook: Webhook
) -> None:
    more = f'[alerts]\nwebhook = "{webhook.url}"'
    shop_file = write_small_shop(tmp_path, more=more)
    run("train", "--config", shop_file, "--models", tmp_path / "models")
    assert webhook.kinds == []
    arguments = ("check", "--config", shop_file, "--models", tmp_path / "models", "--json")
    run(*arguments)
    assert webhook.kinds == []
    run(*arguments, "--alerts")
    assert webhook.kinds == ["trial"]
    write_small_shop(tmp_path, n_orders=300, more=more)
    again = attempt("train", "--config", shop_file, "--models", tmp_path / "models")
    assert again.exit_code == 1
    assert webhook.kinds == ["trial", "refused"]
    webhook.status = 500
    failed = attempt(*arguments, "--alerts")
    assert failed.exit_code == 1
    assert "answered 500" in failed.stdout


def test_two_workers_send_one_message(tmp_path: Path, webhook: Webhook) -> None:
    shop_file = write_small_shop(tmp_path, more=f'[alerts]\nwebhook = "{webhook.url}"')
    publish_model(tmp_path / "models")
    environment = {
        "MERSALG_CONFIG": str(shop_file),
        "MERSALG_ALERT_SECONDS": "0.2",
        "MERSALG_GUARDRAIL_POLL_SECONDS": "0.2",
    }
    with running_server(tmp_path, workers=2, environment=environment) as server:
        database = tmp_path / "facts.db"
        run("guardrail", "pause", "--database", database, "--why", "a trial")
        eventually(lambda: webhook.kinds)
        eventually(lambda: server.said.count("offers are paused") == 2)
        run("guardrail", "resume", "--database", database)
        eventually(lambda: server.said.count("offers are made again") == 2)
    assert webhook.kinds == ["paused"]
