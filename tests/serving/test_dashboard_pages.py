"""Every page of the dashboard in a real browser: it fits, and axe-core finds nothing wrong."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import get_args

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from mersalg.engine import clock
from mersalg.engine.storage.store import open_store
from mersalg.engine.tracking.guardrail import pause
from tests.engine.tracking.test_incremental import trial
from tests.serving.test_dashboard import Scheme, opened, record, sell
from tests.serving.test_dashboard_sharing import SECRET
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually

KEY = "admin-key-k3y"
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
MONTHS = {
    "2026-01": (800, 320, 800, 200),
    "2025-02": (800, 320, 800, 320),
    "2025-03": (800, 320, 40, 10),
    "2025-04": (60, 20, 60, 16),
    "2025-05": (800, 100, 800, 300),
    "2025-06": (800, 0, 0, 0),
    "2025-07": (900, 18, 900, 9),
}
"""Months of trials: they earn, lose checkouts, are uneven, few, cost, of one group, wait."""
LOST = "2025-02"
PERIOD = "from=2026-01-01&to=2026-01-28"
LOGIN = {"login": "/dashboard/login?refused=true"}
PAGES = {
    "shop": {
        **LOGIN,
        **{f"month-{month}": f"/dashboard?from={month}-01&to={month}-28" for month in MONTHS},
        "lately": "/dashboard?step=week",
        "nothing": "/dashboard?from=2020-01-01&to=2020-01-28",
        "funnel": f"/dashboard/funnel?{PERIOD}",
        "items": "/dashboard/items?sort=name&order=asc",
        "rules": f"/dashboard/rules?{PERIOD}",
        "ladders": "/dashboard/ladders?q=phone",
        "item": "/dashboard/items/item?of=cross_sell&key=case-1",
        "ladder": "/dashboard/ladders/upgrade?of=upsell&key=phone-64+-%3E+phone-256",
        "models": "/dashboard/models?before=v0",
        "try": "/dashboard/try?item=phone-64&q=case",
        "health": "/dashboard/health",
        "problem": "/dashboard?from=yesterday",
        "api": "/docs",
    },
    "first_day": {
        **LOGIN,
        **{
            f"first-{name}": f"/dashboard/{name}".rstrip("/")
            for name in ("", "items", "funnel", "models", "try", "health")
        },
    },
    "paused": {**LOGIN, "paused": "/dashboard", "paused-models": "/dashboard/models"},
}
SCHEMES = get_args(Scheme)
REFUSED = ("problem",)


UNEXPLAINED = """() => [...document.querySelectorAll("main section:not(.operation)")]
    .filter((section) => !section.querySelector("details.count"))
    .filter((section) => [...section.querySelectorAll("td, dd, .figure")]
        .some((cell) => /\\d/.test(cell.textContent)))
    .map((section) => section.getAttribute("aria-labelledby"))"""
"""Sections with numbers that do not say, on demand, how they are counted."""
WEIGHT = """() => performance.getEntries()
    .reduce((bytes, entry) => bytes + (entry.encodedBodySize || 0), 0)"""
"""Bytes of a page and of all that it fetches, as they are sent."""
MOST_BYTES = 500_000
TIMES = "audit"
"""The section that says when somebody did what: it counts nothing."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shop with days of two kinds, two versions, and months in every state."""
    folder = tmp_path_factory.mktemp("shop")
    for name in ("Kafé", "Kafé <Sentrum> & Co"):
        publish_model(folder / "models", tiny_model(holdout=0.5, shop_name=name))
    with running_server(folder, keys=f"admin:{KEY}", environment=SECRET) as server:
        for month, arms in MONTHS.items():
            record(folder, of_month(month, arms))
        sell(f"sqlite:///{folder / 'facts.db'}")
        yield server


def of_month(month: str, arms: tuple[int, int, int, int]) -> list[dict[str, object]]:
    """The facts of a trial in a month of its own; half of the checkouts with offers are lost."""
    visits = trial(*arms)
    if month == LOST:
        for n in range(0, arms[0], 2):
            del visits[n][1:]
    text = json.dumps([fact for facts in visits for fact in facts]).replace("2026-01", month)
    return list(json.loads(re.sub(r'(_id": ")(?!bun|cup)', rf"\g<1>{month}-", text)))


@pytest.fixture(scope="module")
def first_day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A service without a model and without facts."""
    with running_server(tmp_path_factory.mktemp("first-day"), keys=f"admin:{KEY}") as server:
        yield server


@pytest.fixture(scope="module")
def paused(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shop whose offers somebody paused before the first of them."""
    folder = tmp_path_factory.mktemp("paused")
    publish_model(folder / "models", tiny_model())
    with running_server(folder, keys=f"admin:{KEY}") as server:
        store = open_store(f"sqlite:///{folder / 'facts.db'}")
        pause(store, "stocktaking", clock.now())
        store.close()
        with server.client(key=KEY) as client:
            eventually(lambda: "stocktaking" in client.get("/dashboard").text)
        yield server


@pytest.mark.browser
@pytest.mark.parametrize("language", ["en", "nb"])
@pytest.mark.parametrize("state", ["shop", "first_day", "paused"])
def test_a_page_fits_and_keeps_nobody_out(
    browser: Browser, request: pytest.FixtureRequest, state: str, language: str
) -> None:
    server: Server = request.getfixturevalue(state)
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with opened(browser) as seen:
        page = seen.page
        page.set_default_timeout(1000 * WAIT_SECONDS)
        for name, address in PAGES[state].items():
            eventually(partial(is_counted, page, server.url + address, language))
            assert page.locator("h1").count() == 1, name
            assert set(page.evaluate(UNEXPLAINED)) <= {TIMES}, name
            assert 0 < page.evaluate(WEIGHT) < MOST_BYTES, name
            for look in looks(page):
                page.screenshot(path=SCREENSHOTS / f"{name}.{language}-{look}.png", full_page=True)
            # Everything that a pointer opens, keys open as well.
            details = page.locator("summary")
            if details.count():
                details.first.focus()
                page.keyboard.press("Enter")
                assert page.locator("details[open]").count() == 1, name
            page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = 1)")
            for look in looks(page):
                assert violations(Axe().run(page).response) == [], (name, look)
            if name in REFUSED:
                assert [each[:3] for each in seen.complaints] == ["422", "err"]
                seen.complaints.clear()
            assert seen.complaints == [], name
            if name == "login":
                page.fill("#key", KEY)
                page.keyboard.press("Enter")
                page.wait_for_url("**/dashboard?lang=*")


def looks(page: Page) -> Iterator[str]:
    """Yield the names of the sizes and colours in which the page is then; it has to fit them."""
    for width in (375, 1440):
        page.set_viewport_size({"width": width, "height": 1600})
        for scheme in SCHEMES:
            page.emulate_media(color_scheme=scheme)
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, page.url
            yield f"{width}-{scheme}"


def is_counted(page: Page, address: str, language: str) -> bool:
    answer = page.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
    return answer is not None and "refresh" not in answer.headers


def violations(found: dict[str, list[dict[str, object]]]) -> list[str]:
    """What axe-core found: the rule, and the elements that break it."""
    return [
        f"{each['id']}: {[(node['target'], node['failureSummary']) for node in each['nodes']]}"  # type: ignore[attr-defined]
        for each in found["violations"]
    ]


@pytest.mark.browser
def test_paper_shows_what_is_read_and_nothing_that_is_pressed(
    browser: Browser, shop: Server
) -> None:
    """Printed from a dark screen as well: dark letters on white."""
    with opened(browser, scheme="dark") as seen:
        page = seen.page
        page.goto(f"{shop.url}/dashboard/login")
        page.fill("#key", KEY)
        page.keyboard.press("Enter")
        page.wait_for_url("**/dashboard*")
        eventually(partial(is_counted, page, f"{shop.url}/dashboard?step=week", "en"))
        on_screen = page.evaluate("() => getComputedStyle(document.body).color")
        assert not page.locator(".on-paper").is_visible()
        page.emulate_media(media="print", color_scheme="dark")
        assert page.evaluate("() => getComputedStyle(document.body).color") != on_screen
        assert page.evaluate("() => getComputedStyle(document.body).color") == "rgb(23, 25, 28)"
        for pressed in ("nav.pages", "form.filters", "button", "details:not([open])", "footer a"):
            assert not any(each.is_visible() for each in page.locator(pressed).all()), pressed
        figures = ("section.cross_sell .figure", "#chart", "table.funnel")
        for read in ("#say", ".on-paper", ".forest", *figures):
            assert page.locator(read).first.is_visible(), read
        paper = page.pdf(format="A4")
        assert paper.startswith(b"%PDF")
        assert 1 <= len(re.findall(rb"/Type /Page\b", paper)) <= 4
        assert seen.complaints == []
