"""The dashboard in a real browser: both rates, the chart, the empty page, signing in."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from html import unescape
from pathlib import Path
from typing import Literal
from urllib.parse import urlencode

import httpx
import pytest
from playwright.sync_api import Browser, Page, Response, ViewportSize

from mersalg.engine.fact_json import parse_fact
from mersalg.engine.storage.store import open_store
from tests.engine.tracking.test_incremental import trial
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

Scheme = Literal["light", "dark"]


@dataclass
class Seen:
    """A page, and everything the browser complained of."""

    page: Page
    complaints: list[str] = field(default_factory=list)
    fetched: list[str] = field(default_factory=list)


@contextmanager
def opened(browser: Browser, width: int = 1200, scheme: Scheme = "light") -> Iterator[Seen]:
    viewport = ViewportSize(width=width, height=1600)
    context = browser.new_context(viewport=viewport, color_scheme=scheme)
    page = context.new_page()
    seen = Seen(page)

    def note(answer: Response) -> None:
        seen.complaints.append(f"{answer.status}: {answer.url}")

    page.on("console", lambda said: seen.complaints.append(f"{said.type}: {said.text}"))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.on("response", lambda answer: answer.ok or answer.status == 303 or note(answer))
    page.on("request", lambda request: seen.fetched.append(request.url))
    yield seen
    context.close()


def counted(client: httpx.Client, **params: str) -> str:
    """The page once its numbers are counted; until then it loads again by itself."""
    return eventually_counted(client, f"/dashboard?{urlencode(params)}")


def eventually_counted(client: httpx.Client, address: str) -> str:
    def page() -> str:
        answer = client.get(address).raise_for_status()
        return "" if "refresh" in answer.headers else answer.text

    return eventually(page)


def sell(database: str) -> None:
    """Ten buyers: each is shown offers, six take the case, two the better phone."""
    store = open_store(database)
    start = datetime.now(UTC) - timedelta(days=6)
    try:
        for number in range(10):
            when = start + timedelta(hours=12 * number)
            store.facts.append([parse_fact(fact) for fact in _visit(number, when)])
    finally:
        store.close()


def _visit(number: int, when: datetime) -> list[dict[str, object]]:
    shared = {"checkout_id": f"ch-{number}", "customer_id": f"c-{number}"}
    offers = [
        {"offer_id": f"case-{number}", "kind": "cross_sell", "item_id": "case-1", "position": 1,
         "unit_price": "199.00"},
        {"offer_id": f"up-{number}", "kind": "upsell", "item_id": "phone-256", "position": 1,
         "unit_price": "6990.00", "replaces": {"item_id": "phone-64", "quantity": 1}},
    ]  # fmt: skip
    phone, price = ("phone-256", "6990.00") if number < 2 else ("phone-64", "5990.00")
    bought = [{"item_id": phone, "quantity": 1, "price": price}]
    if number < 6:
        bought.append({"item_id": "case-1", "quantity": 1, "price": "199.00"})
    after = when + timedelta(minutes=1)
    return [
        {"type": "decision", "event_id": f"d-{number}", "decision_id": f"d-{number}",
         "occurred_at": when.isoformat(), **shared, "arm": "treatment", "model_version": "tiny",
         "placement": "checkout", "currency": "NOK", "control_share": 0.0,
         "lines": [{"item_id": "phone-64", "quantity": 1, "unit_price": "5990.00"}],
         "offers": offers},
        *({"type": "view_promotion", "event_id": f"v-{offer['offer_id']}",
           "occurred_at": after.isoformat(), **shared, "offer_id": offer["offer_id"]}
          for offer in offers),
        {"type": "purchase", "event_id": f"p-{number}", "occurred_at": after.isoformat(), **shared,
         "transaction_id": f"t-{number}", "currency": "NOK", "items": bought},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def selling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("selling")
    publish_model(folder / "models", tiny_model(holdout=0.0, shop_name="Kafé <Sentrum> & Co"))
    with running_server(folder) as server:
        sell(f"sqlite:///{folder / 'facts.db'}")
        yield server


@pytest.mark.browser
def test_both_rates_stand_side_by_side(browser: Browser, selling: Server) -> None:
    with opened(browser) as seen:
        seen.page.goto(f"{selling.url}/dashboard")
        seen.page.wait_for_selector("#chart .line")
        assert seen.page.inner_text(".shop") == "Kafé <Sentrum> & Co"
        cross = seen.page.locator("section.cross_sell")
        up = seen.page.locator("section.upsell")
        assert cross.locator(".figure").first.inner_text() == "60.0%\nof customers"
        assert up.locator(".figure").first.inner_text() == "20.0%\nof customers"
        assert "6 of 10" in cross.inner_text()
        assert "2 of 10" in up.inner_text()
        assert "NOK\u00a01,194.00" in cross.inner_text()  # six cases, whole
        assert "NOK\u00a02,000.00" in up.inner_text()  # two upgrades, the difference only
        assert "difference" in up.inner_text()
        assert "completes a purchase" in cross.inner_text()
        left, right = cross.bounding_box(), up.bounding_box()
        assert left is not None
        assert right is not None
        assert left["y"] == right["y"]
        assert left["x"] < right["x"]
        assert seen.complaints == []
        # Nothing is ever fetched from elsewhere.
        assert all(url.startswith(selling.url) for url in seen.fetched)


@pytest.mark.browser
def test_the_chart_shows_each_day_of_both_rates(browser: Browser, selling: Server) -> None:
    with opened(browser) as seen:
        seen.page.goto(f"{selling.url}/dashboard?days=7")
        seen.page.wait_for_selector("#chart")
        assert seen.page.locator("#chart .plot .line").count() >= 2
        rows = seen.page.locator("#buckets tbody tr")
        titles = seen.page.locator("#chart .hit title").evaluate_all(
            "all => all.map(each => each.textContent)"
        )
        assert rows.count() == len(titles) >= 5
        assert seen.page.locator("section.cross_sell .spark svg[role=img]").count() == 1
        # Keys read the chart bucket by bucket, with the texts of the table.
        seen.page.focus("#chart .plot")
        seen.page.keyboard.press("Home")
        readout = seen.page.inner_text("#readout")
        first = [cell.strip() for cell in rows.first.locator("th, td").all_text_contents()]
        assert readout == f"{first[0]}: Cross-sell {first[1]}; Upsell {first[2]}"
        box = seen.page.locator("#chart .plot > svg").bounding_box()
        assert box is not None
        assert box["width"] > 600
        assert seen.complaints == []


def test_the_numbers_behind_the_page_can_be_saved(selling: Server) -> None:
    with selling.client() as client:
        response = client.get("/dashboard/report.csv", params={"days": 28, "step": "month"})
    assert response.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(response.text)))
    (cross,) = [
        row
        for row in rows
        if (row["month"], row["kind"], row["rate"]) == ("", "cross_sell", "customer")
    ]
    assert (cross["numerator"], cross["denominator"]) == ("6", "10")


@pytest.mark.browser
def test_filters_stay_in_the_address(browser: Browser, selling: Server) -> None:
    with opened(browser) as seen:
        page = seen.page
        page.goto(f"{selling.url}/dashboard?days=28&lang=nb")
        page.select_option("#f-kind", "upsell")
        page.wait_for_url("**kind=upsell**")
        assert page.locator("section.upsell .figure").first.inner_text().startswith("20,0\u00a0%")
        assert page.locator("section.cross_sell").count() == 0
        page.click("text=English")
        assert page.input_value("#f-kind") == "upsell"
        assert page.locator("section.upsell .figure").first.inner_text().startswith("20.0%")
        page.select_option("#f-placement", "checkout")
        page.wait_for_url("**placement=checkout**")
        assert page.locator("section.upsell .figure").first.inner_text().startswith("20.0%")
        page.goto(f"{selling.url}/dashboard?days=28&lang=en&kind=upsell&placement=cart")
        assert page.input_value("#f-placement") == "cart"
        assert page.locator("#f-store option").all_inner_texts() == ["All stores"]
        assert "Nothing was suggested that these filters let through" in page.inner_text("main")
        page.click("text=Show the last period")
        page.wait_for_selector("section.upsell .figure >> text=20.0%")
        assert seen.complaints == []


@pytest.mark.browser
def test_a_narrow_dark_screen_is_served_too(browser: Browser, selling: Server) -> None:
    context = browser.new_context(viewport={"width": 390, "height": 800}, color_scheme="dark")
    page = context.new_page()
    page.goto(f"{selling.url}/dashboard")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert page.evaluate("() => getComputedStyle(document.body).backgroundColor") != (
        "rgb(255, 255, 255)"
    )
    context.close()


@pytest.mark.browser
def test_an_empty_shop_is_reported(browser: Browser, tmp_path: Path) -> None:
    with running_server(tmp_path) as server, opened(browser) as seen:
        seen.page.goto(f"{server.url}/dashboard")
        assert seen.page.inner_text("#say") == "No decisions yet"
        assert seen.page.locator(".steps li").count() == 3
        assert "Done" not in seen.page.inner_text(".steps")
        # No zeros and no empty charts: what there is to do is all there is.
        assert seen.page.locator("main section").count() == 1
        assert "no model" in seen.page.inner_text(".notice")
        assert seen.complaints == []
        seen.page.goto(f"{server.url}/docs")
        assert "/v1/suggestions" in seen.page.inner_text("main")
        assert seen.complaints == []


def test_the_dashboard_speaks_the_language_asked_for(selling: Server) -> None:
    with selling.client() as client:
        norwegian = counted(client, lang="nb")
        plain = client.get("/dashboard", headers={"Accept-Language": "fr, nb;q=0.9"}).text
        assert norwegian == plain
        assert client.get("/dashboard?lang=en", headers={"Accept-Language": "nb"}).text != plain
        # The shop's own locale is English.
        assert '<html lang="en">' in client.get("/dashboard").text
    assert '<html lang="nb">' in plain
    assert "Kryssalgsrate" in plain
    assert "60,0\u00a0%" in plain
    assert "/dashboard?lang=nb&amp;from=" in plain


@pytest.mark.browser
def test_signing_in_and_out(browser: Browser, tmp_path: Path) -> None:
    keys = "storefront:front-key report:report-key"
    with running_server(tmp_path, keys=keys) as server, opened(browser) as seen:
        page = seen.page
        page.goto(f"{server.url}/dashboard")
        assert page.url.endswith("/dashboard/login")
        for wrong in ("front-key", "nonsense"):
            page.fill("#key", wrong)
            page.click("button")
            assert "not known" in page.inner_text("[role=alert]")
        page.fill("#key", "report-key")
        page.click("button")
        page.wait_for_url(f"{server.url}/dashboard*")
        page.wait_for_selector("#say")
        (cookie,) = page.context.cookies()
        assert cookie["httpOnly"]
        assert cookie["sameSite"] == "Strict"
        assert "report-key" not in cookie["value"]
        page.click("text=Sign out")
        page.goto(f"{server.url}/dashboard")
        assert page.url.endswith("/dashboard/login")
        assert seen.complaints == []


def test_the_dashboard_needs_a_key_where_there_are_keys(tmp_path: Path) -> None:
    keys = "storefront:front-key report:report-key admin:admin-key"
    with (
        running_server(tmp_path, keys=keys) as server,
        httpx.Client(base_url=server.url, trust_env=False) as client,
    ):
        for header in (
            {},
            {"Authorization": "Bearer front-key"},
            {"Cookie": "mersalg_session=1.2"},
        ):
            response = client.get("/dashboard", headers=header)
            assert response.status_code == 303
            assert response.headers["location"] == "/dashboard/login"
        for key in ("report-key", "admin-key"):
            response = client.get("/dashboard", headers={"Authorization": f"Bearer {key}"})
            assert response.status_code == 200
            assert "script-src 'self'" in response.headers["content-security-policy"]
        assert client.get("/dashboard/static/dashboard.js").status_code == 200
        for name in ("secret", "..%2Fpages.py", "dashboard.html"):
            assert client.get(f"/dashboard/static/{name}").status_code == 404


def test_pages_are_never_compressed(tmp_path: Path) -> None:
    """Their length would tell a stranger on the network of the form's token beside his own text."""
    with running_server(tmp_path, keys="admin:admin-key") as server:
        headers = {"Authorization": "Bearer admin-key", "Accept-Encoding": "gzip, br"}
        with httpx.Client(base_url=server.url, headers=headers, trust_env=False) as client:
            for path in ("/dashboard", "/dashboard/items?q=token", "/dashboard/login"):
                assert "content-encoding" not in client.get(path).headers


def test_signing_out_ends_the_session_at_every_worker(tmp_path: Path) -> None:
    with running_server(tmp_path, keys="report:report-key", workers=2) as server:

        def opens(cookie: str) -> bool:
            """Asked several times, each by a connection of its own: either worker may answer."""
            statuses = {
                httpx.get(f"{server.url}/dashboard", headers={"Cookie": cookie}).status_code
                for _ in range(8)
            }
            assert len(statuses) == 1
            return statuses == {200}

        with httpx.Client(base_url=server.url, trust_env=False) as client:
            client.post("/dashboard/login", data={"key": "report-key"})
            copied = "; ".join(f"{name}={value}" for name, value in client.cookies.items())
            assert opens(copied)
            client.post("/dashboard/logout")
        assert not opens(copied)


PERIOD = {"from": "2026-01-01", "to": "2026-01-28"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shop of 1,600 checkouts, half of them without offers: 40% against 25% buy the bun."""
    folder = tmp_path_factory.mktemp("compared")
    publish_model(folder / "models", tiny_model(holdout=0.5, shop_name="Kafé"))
    with running_server(folder) as server:
        record(folder, [fact for each in trial(800, 320, 800, 200) for fact in each])
        yield server


def record(folder: Path, facts: list[dict[str, object]]) -> None:
    store = open_store(f"sqlite:///{folder / 'facts.db'}")
    try:
        store.facts.append([parse_fact(fact) for fact in facts])
    finally:
        store.close()


def test_the_figures_are_those_of_the_report(compared: Server) -> None:
    with compared.client() as client:
        asked = {**PERIOD, "watched": "true"}
        made = client.get("/v1/reports/rates", params=asked).raise_for_status().json()
        page = counted(client, **PERIOD, lang="en")
        norwegian = counted(client, **PERIOD, lang="nb")
    text, norwegian = (unescape(re.sub("<[^>]+>", "", each)) for each in (page, norwegian))
    effect = made["total"]["cross_sell"]["incremental"]
    extra = made["total"]["cross_sell"]["extra_sales"]
    assert (effect["treatment"]["numerator"], effect["control"]["numerator"]) == (320, 200)
    points, lower, upper = (f"{100 * effect[end]:+.1f}" for end in ("value", "lower", "upper"))
    assert points == "+15.0"
    assert f"{lower} to {upper}" in text
    assert made["extra_sales"]["value"] == extra["value"] == "6428.57"  # .15 x 25 x 1,600 x 30/28
    for shown in (
        *("bring you about NOK\u00a06,400 in extra sales a month", "1,600 checkouts compared"),
        *("40.0%", "25.0%", "6 of 10 who bought", "No checkouts lost", "Fair comparison"),
        *("3.7500 more a checkout", "1,600 checkouts × 30/28 days = NOK\u00a06,428.57"),
    ):
        assert shown in text, shown
    assert "Forslagene gir dere om lag 6\u00a0400\u00a0kr i mersalg i måneden." in norwegian


@pytest.mark.parametrize(
    ("arms", "say"),
    [
        ((800, 320, 40, 10), "The effect of the offers is unknown for this period."),
        ((900, 18, 900, 9), "Not enough data yet: about "),
        ((60, 20, 60, 16), "at today's traffic it takes more than a year"),
        ((800, 0, 0, 0), "The shop has a group without offers, but nobody of it came"),
    ],
)
def test_other_states_say_what_is_missing(
    arms: tuple[int, int, int, int], say: str, tmp_path: Path
) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.5))
    with running_server(tmp_path) as server, server.client() as client:
        record(tmp_path, [fact for each in trial(*arms) for fact in each])
        page = counted(client, **PERIOD, lang="en")
        assert say in unescape(page)
        assert "extra sales a month." not in page


def test_a_filter_shows_the_numbers_of_what_it_lets_through(compared: Server) -> None:
    with compared.client() as client:
        asked = {**PERIOD, "lang": "en", "placement": "checkout"}
        page = counted(client, **asked)
        assert "bring you about NOK\u00a06,400 in extra sales a month" in unescape(page)
        assert (
            "/dashboard/funnel?lang=en&amp;from=2026-01-01&amp;to=2026-01-28&amp;placement" in page
        )
        page = counted(client, **{**asked, "placement": "cart"})
        assert "No decisions yet" not in page
        assert "Nothing was suggested that these filters let through." in page
        all_of_it = re.search(r'<a href="([^"]+)">Show the last period', page)
        assert all_of_it is not None
        assert "1,600 checkouts compared" in eventually_counted(client, unescape(all_of_it[1]))
        assert client.get("/dashboard", params={"from": "yesterday"}).status_code == 422
        assert client.get("/dashboard", params={"kind": "swap"}).status_code == 422
