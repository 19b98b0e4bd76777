"""The dashboard in the process of the test: marks of what occurred, and numbers still counted."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path

import httpx
import pytest

from mersalg.engine import clock
from mersalg.engine.live_items import Stated
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.store import open_store
from mersalg.serving.app import create_app
from mersalg.serving.dashboard import filters, offers, shell
from mersalg.serving.settings import load_settings
from tests.serving.test_dashboard import sell
from tests.support.models import tiny_model
from tests.support.servers import publish_model


def page_of(
    folder: Path,
    path: str,
    language: str = "en",
    *,
    keys: str = "",
    meanwhile: Callable[[], object] = int,
) -> httpx.Response:
    settings = load_settings(
        {"MERSALG_KEYS": keys},
        database=f"sqlite:///{folder / 'facts.db'}",
        models=folder / "models",
    )

    async def ask() -> httpx.Response:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(
                transport=transport, base_url="http://localhost", headers={"Accept": "text/html"}
            ) as client,
        ):
            meanwhile()
            return await client.get(httpx.URL(path).copy_add_param("lang", language))

    return asyncio.run(ask())


@pytest.fixture(autouse=True)
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pages wait for their report, however slow the machine is."""
    monkeypatch.setattr(shell, "_REPORT_SECONDS", 60.0)


@pytest.fixture
def selling(tmp_path: Path) -> Path:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}")
    store.migrate()
    for action, outcome in (
        ("publish", "done"),
        ("publish", "failed: model"),
        ("roll back", "done"),
        ("export customer", "done"),
    ):
        day_before = clock.now() - clock.MICROS_PER_DAY * 3 // 2
        store.audit.add(AuditEntry(day_before, "key:<1>", action, "v2", outcome))
    for days, action in ((4, "pause offers"), (3, "resume offers")):
        day_before = clock.now() - clock.MICROS_PER_DAY * days
        store.audit.add(AuditEntry(day_before, "guardrail", action, "fewer completed", "done"))
    for item_id, days in (("case-1", 5), ("charger-1", 5), ("phone-64", 500)):
        for price, later in (("5.00", 0), ("4.00", 1), ("9.00", 2 * clock.MICROS_PER_DAY)):
            priced_at = clock.now() - clock.MICROS_PER_DAY * days + later
            store.live.take([Stated(item_id, {"price": price}, priced_at)])
    store.close()
    sell(f"sqlite:///{tmp_path / 'facts.db'}")
    return tmp_path


def test_the_chart_marks_what_administrators_did(selling: Path) -> None:
    response = page_of(selling, "/dashboard")
    marks = re.findall(
        r'<li><b>(.)</b><span><span class="quiet">.*?</span> (.*?)</span>', response.text
    )
    assert [(letter, unescape(text)) for letter, text in marks] == [
        ("A", "2 prices changed"),
        ("B", "Offers paused by guardrail"),
        ("C", "Offers made again, by guardrail"),
        ("D", "2 prices changed"),
        ("E", "Model v2 published by key:<1>"),
        ("F", "Back to model v2, by key:<1>"),
    ]
    assert response.text.count('class="flag-text"') == 6
    assert response.text.count('class="pause"') == 1


def test_a_pause_that_began_before_the_period_is_marked_too(selling: Path) -> None:
    since = (datetime.now(UTC) - timedelta(days=3, hours=12)).date()
    text = page_of(selling, f"/dashboard?from={since}").text
    assert "Offers paused by guardrail" in text
    assert text.count('class="pause"') == 1
    since = (datetime.now(UTC) - timedelta(days=2)).date()
    text = page_of(selling, f"/dashboard?from={since}").text
    assert "Offers paused by guardrail" not in text
    assert "Model v2 published" in text


def test_advice_on_the_hold_out_is_for_the_shop_as_it_is_now(selling: Path) -> None:
    assert "Set <code>[experiment] holdout = 0.1</code>" in page_of(selling, "/dashboard").text
    publish_model(selling / "models", tiny_model(holdout=0.5))
    text = page_of(selling, "/dashboard").text
    assert "There is a group without offers now" in text
    assert "holdout = 0.1" not in text


def test_filters_list_what_the_period_holds(selling: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def listed(address: str) -> list[str]:
        page = page_of(selling, address).text
        [lists] = re.findall(r'id="f-placement".*?</select>', page, re.DOTALL)
        return [unescape(text) for text in re.findall(r"<option[^>]*>([^<]+)</option>", lists)]

    assert listed("/dashboard") == ["All placements", "checkout"]
    assert listed("/dashboard?from=2020-01-01&to=2020-01-28") == ["All placements"]
    assert listed("/dashboard?placement=cart") == ["All placements", "cart", "checkout"]
    monkeypatch.setattr(filters, "_OF_A_PART", 1)
    assert listed("/dashboard")[1:] == ["checkout", "(rare ones missing)"]


def test_a_funnel_without_a_hold_out_begins_with_what_was_shown(selling: Path) -> None:
    text = page_of(selling, "/dashboard/funnel").text
    row = r'row">(\w+)</th>.*?<td>(\S+)<span class="range">([^<]+)<'
    seen = [("Decided", "100.0%", "10"), ("Shown", "100.0%", "10")]
    seen.append(("Clicked", "0.0%", "0 of 10 offers"))
    assert re.findall(row, text, re.DOTALL) == [
        *(*seen, ("Bought", "60.0%", "6"), ("Kept", "60.0%", "6")),
        *(*seen, ("Bought", "20.0%", "2"), ("Kept", "20.0%", "2")),
    ]


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/funnel", "/dashboard/rules"])
def test_a_page_whose_numbers_are_still_counted_says_so(
    path: str, selling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shell, "_REPORT_SECONDS", 0.0)
    response = page_of(selling, path, "nb")
    assert response.status_code == 200
    assert "Teller opp tallene" in response.text
    assert response.headers["refresh"] == "2"


def test_what_is_worth_doing_comes_by_itself(
    selling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The table is there meanwhile, and the page loads again until the changes are known."""
    whole = page_of(selling, "/dashboard/items")
    assert "refresh" not in whole.headers
    assert "Nothing to change this week." in whole.text

    async def still_counted(_: object) -> None:
        return None

    monkeypatch.setattr(offers, "all_counted", still_counted)
    for language, text in (("en", "loads again by itself"), ("nb", "på nytt av seg selv")):
        waiting = page_of(selling, "/dashboard/items", language)
        assert waiting.headers["refresh"] == "2"
        assert text in waiting.text
        assert '<th scope="row">' in waiting.text


@pytest.mark.parametrize(
    ("path", "status", "english", "norwegian"),
    [
        ("/dashboard?from=abc", 422, "Days are written as 2026-01-31", "Dager skrives som"),
        ("/dashboard?kind=swap", 422, "does not know", "ikke kjenner"),
        ("/dashboard/items?days=x", 422, "does not know", "ikke kjenner"),
        ("/dashboard/report.csv?to=32", 422, "does not know", "ikke kjenner"),
        ("/dashboard/items/item?of=upsell&key=x", 404, "was not offered", "ble ikke foreslått"),
        ("/dashboard/rules/rule?of=cross_sell&key=x", 404, "was not offered", "ikke foreslått"),
        ("/dashboard/itms", 404, "There is no such page.", "Siden finnes ikke."),
        ("/dashboard/models?before=v0", 200, "no version v0", "ingen versjon v0"),
    ],
)
def test_what_is_wrong_is_said_on_a_page(
    selling: Path, path: str, status: int, english: str, norwegian: str
) -> None:
    for language, text in (("en", english), ("nb", norwegian)):
        response = page_of(selling, path, language)
        assert response.status_code == status
        assert response.headers["content-type"] == "text/html; charset=utf-8"
        assert f'<html lang="{language}">' in response.text
        assert text in response.text
        assert 'id="main"' in response.text
        assert "default-src 'none'" in response.headers["content-security-policy"]


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/items", "/dashboard/health"])
def test_a_database_that_is_away_is_said_on_a_page(selling: Path, path: str) -> None:
    response = page_of(
        selling, path, "nb", meanwhile=lambda: (selling / "facts.db").rename(selling / "away.db")
    )
    assert response.status_code == 503
    assert "Databasen svarer ikke" in response.text
    assert response.headers["retry-after"] == "1"


def test_problems_before_signing_in_are_said_by_its_form(selling: Path) -> None:
    assert page_of(selling, "/dashboard?from=abc", keys="report:k").status_code == 303
    response = page_of(selling, "/dashboard/static/none", "nb", keys="report:k")
    assert response.status_code == 404
    assert "Siden finnes ikke." in response.text
    assert 'name="key"' in response.text


def test_the_first_page_is_found_with_a_slash_behind_it(selling: Path) -> None:
    response = page_of(selling, "/dashboard/?step=week", "nb")
    assert response.status_code == 307
    assert response.headers["location"] == "/dashboard?step=week&lang=nb"


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/funnel", "/dashboard/ladders"])
def test_an_empty_period_names_the_last_one_with_facts(selling: Path, path: str) -> None:
    response = page_of(selling, f"{path}?from=2020-01-01&to=2020-01-28")
    assert "Nothing was suggested in this period." in response.text
    assert "No decisions yet" not in response.text
    address = re.search(r'<a href="([^"]+)">Show the last period', response.text)
    assert address is not None
    there = page_of(selling, unescape(address[1])).text
    assert "0.0%" in there
    assert "Nothing was suggested" not in there
