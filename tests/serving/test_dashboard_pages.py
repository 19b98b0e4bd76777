"""Every page of the dashboard in a real browser: it fits, and axe-core finds nothing wrong."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import cast

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page

from tests.engine.tracking.test_incremental import trial
from tests.serving.test_dashboard import Scheme, opened, record, sell
from tests.serving.test_dashboard_sharing import SECRET
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually

KEY = "admin-key-k3y"
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
PERIOD = "from=2026-01-01&to=2026-01-28"
PAGES = {
    "login": "/dashboard/login?refused=true",
    "overview": f"/dashboard?{PERIOD}",
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
}
REFUSED = ("problem",)


UNEXPLAINED = """() => [...document.querySelectorAll("main section:not(.operation)")]
    .filter((section) => !section.querySelector("details.count"))
    .filter((section) => [...section.querySelectorAll("td, dd, .figure")]
        .some((cell) => /\\d/.test(cell.textContent)))
    .map((section) => section.getAttribute("aria-labelledby"))"""
"""Sections with numbers that do not say, on demand, how they are counted."""
TIMES = "audit"
"""The section that says when somebody did what: it counts nothing."""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A shop with weeks of a hold-out, days of two kinds, and two versions."""
    folder = tmp_path_factory.mktemp("shop")
    for name in ("Kafé", "Kafé <Sentrum> & Co"):
        publish_model(folder / "models", tiny_model(holdout=0.5, shop_name=name))
    with running_server(folder, keys=f"admin:{KEY}", environment=SECRET) as server:
        record(folder, [fact for each in trial(800, 320, 800, 200) for fact in each])
        sell(f"sqlite:///{folder / 'facts.db'}")
        yield server


@pytest.mark.browser
@pytest.mark.parametrize(
    ("language", "width", "scheme"),
    [("nb", 375, "light"), ("en", 375, "dark"), ("en", 1440, "light"), ("nb", 1440, "dark")],
)
def test_a_page_fits_and_keeps_nobody_out(
    browser: Browser, shop: Server, language: str, width: int, scheme: str
) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    with opened(browser, width, cast(Scheme, scheme)) as seen:
        page = seen.page
        page.set_default_timeout(1000 * WAIT_SECONDS)
        for name, address in PAGES.items():
            eventually(partial(is_counted, page, shop.url + address, language))
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, name
            assert page.locator("h1").count() == 1, name
            assert set(page.evaluate(UNEXPLAINED)) <= {TIMES}, name
            page.screenshot(
                path=SCREENSHOTS / f"{name}.{language}-{width}-{scheme}.png", full_page=True
            )
            # Everything that a pointer opens, keys open as well.
            details = page.locator("summary")
            if details.count():
                details.first.focus()
                page.keyboard.press("Enter")
                assert page.locator("details[open]").count() == 1, name
            page.evaluate("document.querySelectorAll('details').forEach((each) => each.open = 1)")
            assert page.evaluate("() => document.documentElement.scrollWidth") <= width, name
            assert violations(Axe().run(page).response) == [], name
            if name in REFUSED:
                assert [each[:3] for each in seen.complaints] == ["422", "err"]
                seen.complaints.clear()
            assert seen.complaints == [], name
            if name == "login":
                page.fill("#key", KEY)
                page.keyboard.press("Enter")
                page.wait_for_url("**/dashboard?lang=*")


def is_counted(page: Page, address: str, language: str) -> bool:
    answer = page.goto(f"{address}{'&' if '?' in address else '?'}lang={language}")
    return answer is not None and "refresh" not in answer.headers


def violations(found: dict[str, list[dict[str, object]]]) -> list[str]:
    """What axe-core found: the rule, and the elements that break it."""
    return [
        f"{each['id']}: {[(node['target'], node['failureSummary']) for node in each['nodes']]}"  # type: ignore[attr-defined]
        for each in found["violations"]
    ]
