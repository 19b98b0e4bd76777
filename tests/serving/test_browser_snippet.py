"""`mersalg.js` in a real browser, on a shop's page of another origin."""

from __future__ import annotations

import gzip
import json
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import Browser, Page, Request, Route

from mersalg.engine import clock
from mersalg.engine.facts import Event
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.store import open_store
from tests.support.commands import run
from tests.support.models import PHONE_SHOP_ITEMS, TinyItem, tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually

DOCS = Path(__file__).parents[2] / "docs"
SCREENSHOTS = Path(__file__).parents[2] / "build" / "screenshots"
KEYS = "storefront:front-key server:server-key"
NAME = "<img src=x onerror=alert(1)> Case"

ITEMS = [
    replace(item, name=NAME) if item.item_id == "case-1" else item for item in PHONE_SHOP_ITEMS
]

PAGE = """<!doctype html><html lang=LANG><meta name=viewport content="width=device-width">
<title>A shop</title><link rel=stylesheet href=shop.css>
<main><h1>Checkout</h1><div id=space></div>
<form action="/sent"><div id=offers></div></form><p id=end>Pay here</p></main>
<script src="SERVICE/mersalg.js"></script>
<script src=shop.js></script></html>
"""
SHOP_JS = """
addEventListener("error", (event) => { document.title = "broken"; });
const own = new URLSearchParams(location.search);
space.style.height = own.get("space") || "0";
window.added = [];
window.shown = window.Mersalg && Mersalg.show({
  url: own.get("url") || "SERVICE", key: own.get("key") || "front-key", element: offers,
  cart: {checkout_id: own.get("checkout"), session_id: "s-" + own.get("checkout"),
         lines: [{item_id: "phone-64", quantity: 1}]},
  onAdd: (offer) => added.push(offer.item_id),
  onSelect: own.has("select") ? (offer) => added.push("looked at " + offer.item_id) : undefined,
  onRemove: own.has("undo") ? (offer) => added.push("not " + offer.item_id) : undefined,
  placement: own.get("placement") || undefined,
  style: !own.has("plain"), labels: own.has("words") ? {add: "Take it"} : {}, timeout: PATIENCE,
});
""".replace("PATIENCE", str(int(1000 * WAIT_SECONDS)))
SHOP_CSS = """:root { color-scheme: light dark; font: 16px/1.5 system-ui; }
body { margin: 0 auto; padding: 16px; max-width: 860px; background: #fff; color: #1c1c1c; }
@media (prefers-color-scheme: dark) { body { background: #14161a; color: #e8eaed; } }
* { padding: 0; }
button { background: #c00; color: #ff0; }
[lang=en] #offers, [lang=nb] #offers { min-height: 800px; }
"""


PICTURE = """<svg xmlns="http://www.w3.org/2000/svg" width="400" height="300">
<rect width="400" height="300" fill="#7a9"/></svg>"""


class Quiet(SimpleHTTPRequestHandler):
    policy = ""
    """Content security policy of the shop, which allows no inline style or script."""

    def end_headers(self) -> None:
        self.send_header("Content-Security-Policy", self.policy)
        super().end_headers()

    def log_message(self, *arguments: object) -> None:
        del arguments


@dataclass
class Shop:
    server: Server
    origin: str
    database: Path

    def facts(self, checkout: str) -> list[Event]:
        store = open_store(str(self.database))
        try:
            found = list(store.facts.read(FactScope()))
        finally:
            store.close()
        return [fact for fact in found if isinstance(fact, Event) and fact.checkout_id == checkout]


@contextmanager
def running_shop(folder: Path, items: Sequence[TinyItem]) -> Iterator[Shop]:
    """A shop's pages of another origin than the service that they call."""
    publish_model(folder / "models", tiny_model(holdout=0.0, items=items))
    pages = folder / "pages"
    pages.mkdir()
    web = ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(pages)))
    thread = threading.Thread(target=web.serve_forever)
    thread.start()
    origin = f"http://127.0.0.1:{web.server_port}"
    environment = {"MERSALG_ALLOWED_ORIGINS": origin}
    try:
        with running_server(folder, keys=KEYS, environment=environment) as server:
            for language in ("", "en", "nb"):
                text = PAGE.replace("SERVICE", server.url).replace("LANG", language or '""')
                (pages / f"shop{language}.html").write_text(text)
            (pages / "shop.js").write_text(SHOP_JS.replace("SERVICE", server.url))
            (pages / "shop.css").write_text(SHOP_CSS)
            (pages / "case.svg").write_text(PICTURE)
            Quiet.policy = (
                f"default-src 'none'; script-src 'self' {server.url}; style-src 'self';"
                f" img-src 'self'; connect-src {server.url}"
            )
            picture = {"image_url": f"{origin}/case.svg"}
            with server.client(key="server-key") as client:
                client.put("/v1/items/case-1", json=picture).raise_for_status()
            yield Shop(server, origin, folder / "facts.db")
    finally:
        web.shutdown()
        web.server_close()
        thread.join()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    with running_shop(tmp_path_factory.mktemp("snippet"), ITEMS) as shop:
        yield shop


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 900, "height": 600})
    context.set_default_timeout(1000 * WAIT_SECONDS)
    yield context.new_page()
    context.close()


def go(page: Page, shop: Shop, checkout: str, **more: str) -> list[dict[str, Any]]:
    """The offers the page was given."""
    language = more.pop("lang", "")
    query = {"checkout": checkout, **more}
    page.goto(f"{shop.origin}/shop{language}.html?{httpx.QueryParams(query)}")
    return page.evaluate("window.shown")


def becomes(page: Page, found: Callable[[], object], expected: object) -> None:
    # Routes are met, and requests noticed, only while the browser is waited for.
    eventually(lambda: found() == expected, sleep=lambda _seconds: page.wait_for_timeout(100))


NOTICED = """() => new Promise((done) => {
    const seen = new IntersectionObserver(() => { seen.disconnect(); done(); });
    seen.observe(document.querySelector("#offers li"));
})"""
"""Resolves when the browser has told every observer of a page what is visible now."""


@dataclass
class StoppedClock:
    """Time passes for the pages of a tab only as a test says; notes what they send meanwhile."""

    page: Page

    def __post_init__(self) -> None:
        self.n_sent = 0
        self.page.on("request", self._note)
        self.page.clock.install()
        self.page.clock.pause_at(datetime.now(UTC) + timedelta(seconds=1))

    def _note(self, request: Request) -> None:
        self.n_sent += request.url.endswith("/v1/events")

    def advance(self, milliseconds: int) -> None:
        """Let time pass once the page has noticed what is visible."""
        self.page.evaluate(NOTICED)
        self.page.clock.run_for(milliseconds)


def kinds(shop: Shop, checkout: str) -> list[str]:
    return sorted(fact.type for fact in shop.facts(checkout))


def test_it_is_small_and_may_be_kept_by_browsers(shop: Shop) -> None:
    answer = httpx.get(f"{shop.server.url}/mersalg.js", trust_env=False)
    assert answer.status_code == 200
    assert len(gzip.compress(answer.content)) < 6000
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "max-age" in answer.headers["cache-control"]
    assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


@pytest.mark.browser
def test_offers_are_shown_seen_and_bought(page: Page, shop: Shop) -> None:
    offers = go(page, shop, "k-1")
    assert {offer["kind"] for offer in offers} == {"cross_sell", "upsell"}
    assert page.locator("#offers .mersalg-list > li").count() == len(offers)
    upsell = next(offer for offer in offers if offer["kind"] == "upsell")
    reported = page.inner_text("li.mersalg-upsell")
    assert upsell["display"]["difference"] == "+1000 NOK"
    assert "+1000 NOK" in reported
    assert reported.count("4x the storage") == 1, "the gains are said once"
    assert upsell["text"] not in reported
    assert offers[0]["text"] in page.inner_text("li.mersalg-cross_sell >> nth=0")
    becomes(page, lambda: kinds(shop, "k-1"), ["view_promotion"] * len(offers))
    page.get_by_role("button", name=f"Add: {offers[0]['name']}").click()
    assert page.evaluate("window.added") == [offers[0]["item_id"]]
    assert "/shop.html" in page.url, "the form around the offers was not sent"
    page.click("li.mersalg-upsell button.mersalg-dismiss")
    assert page.locator("li.mersalg-upsell").count() == 0
    assert page.get_by_role("button", name=f"Added: {offers[0]['name']}").is_disabled()
    becomes(
        page,
        lambda: kinds(shop, "k-1"),
        ["add_to_cart", "dismiss_promotion", *["view_promotion"] * len(offers)],
    )
    bought = {
        "type": "purchase",
        "event_id": "p-1",
        "occurred_at": clock.to_iso(clock.now() + clock.MICROS_PER_DAY),
        "checkout_id": "k-1",
        "session_id": "s-k-1",
        "transaction_id": "t-1",
        "currency": "NOK",
        "items": [{"item_id": offers[0]["item_id"], "quantity": 1, "price": "199.00"}],
    }
    with shop.server.client(key="server-key") as client:
        assert client.post("/v1/events", json={"events": [bought]}).json()["recorded"] == 1
    report = json.loads(run("report", "--database", shop.database, "--format", "json"))
    rate = report["total"]["cross_sell"]["customer"]
    assert rate["numerator"] == 1
    assert rate["denominator"] >= 1


@pytest.mark.browser
def test_a_name_that_can_be_chosen_is_reported_as_a_click(page: Page, shop: Shop) -> None:
    assert go(page, shop, "k-plain")
    assert page.locator("button.mersalg-name").count() == 0
    offers = go(page, shop, "k-chosen", select="yes")
    page.get_by_role("button", name=offers[0]["name"], exact=True).click()
    assert page.evaluate("window.added") == [f"looked at {offers[0]['item_id']}"]
    expected = ["select_promotion", *["view_promotion"] * len(offers)]
    becomes(page, lambda: kinds(shop, "k-chosen"), expected)
    (chosen,) = [fact for fact in shop.facts("k-chosen") if fact.type == "select_promotion"]
    assert chosen.offer_id == offers[0]["offer_id"]


@pytest.mark.browser
def test_names_are_text_whatever_they_hold(page: Page, shop: Shop) -> None:
    dialogs: list[str] = []
    page.on("dialog", lambda dialog: dialogs.append(dialog.message))
    go(page, shop, "k-xss")
    assert page.locator("#offers .mersalg-name").first.inner_text() == NAME
    assert page.locator("#offers img").count() == 1, "the catalogue's own picture"
    assert dialogs == []


@pytest.mark.browser
@pytest.mark.parametrize(
    ("address", "is_shown"),
    [
        ("case.svg", True),
        ("https://pictures.example/case.jpg", True),
        ("http://pictures.example/case.jpg", False),
        ("javascript:alert(1)", False),
        ("data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>", False),
        ("blob:ORIGIN/1", False),
        ("https://", False),
    ],
)
def test_a_picture_is_of_https_or_of_the_page_itself(
    page: Page, shop: Shop, address: str, is_shown: bool
) -> None:
    def answer(route: Route) -> None:
        found = route.fetch()
        body = found.json()
        for offer in body["offers"]:
            offer["image_url"] = address.replace("ORIGIN", shop.origin)
        route.fulfill(response=found, json=body)

    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.route("**/v1/suggestions", answer)
    offers = go(page, shop, "k-picture")
    n_pictures = page.locator("#offers img").count()
    assert n_pictures == (len(offers) if is_shown else 0)
    assert any("example" in url for url in asked) == (is_shown and "example" in address)


@pytest.mark.browser
def test_only_what_was_half_visible_for_a_second_was_seen(page: Page, shop: Shop) -> None:
    clock = StoppedClock(page)
    offers = go(page, shop, "k-below", space="3000px")
    clock.advance(1500)
    assert clock.n_sent == 0, "below the fold"
    # Scrolled past in less than a second, and then looked at.
    page.evaluate("offers.scrollIntoView()")
    clock.advance(900)
    page.evaluate("scrollTo(0, 0)")
    clock.advance(1500)
    assert clock.n_sent == 0, "passed by"
    page.evaluate("offers.scrollIntoView()")
    clock.advance(1500)
    becomes(page, lambda: kinds(shop, "k-below"), ["view_promotion"] * len(offers))
    assert clock.n_sent == 1
    page.evaluate("scrollTo(0, 0)")
    clock.advance(100)
    page.evaluate("offers.scrollIntoView()")
    clock.advance(1500)
    assert clock.n_sent == 1, "once each"


@pytest.mark.browser
def test_less_than_half_of_an_offer_is_not_seen(page: Page, shop: Shop) -> None:
    clock = StoppedClock(page)
    page.set_viewport_size({"width": 400, "height": 600})  # one card in a row
    go(page, shop, "k-half", space="3000px")

    def scroll_until_visible(share: float) -> None:
        page.evaluate(
            """share => {
                const item = document.querySelector("#offers li").getBoundingClientRect();
                scrollBy(0, item.top + share * item.height - innerHeight);
            }""",
            share,
        )

    scroll_until_visible(0.3)
    clock.advance(1500)
    assert clock.n_sent == 0
    scroll_until_visible(0.7)
    clock.advance(900)
    assert clock.n_sent == 0, "before the second is over"
    clock.advance(600)
    becomes(page, lambda: kinds(shop, "k-half"), ["view_promotion"])


HIDE = """hidden => {
    Object.defineProperty(document, "hidden", {value: hidden, configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


@pytest.mark.browser
def test_a_page_that_nobody_looks_at_shows_nothing(page: Page, shop: Shop) -> None:
    clock = StoppedClock(page)
    offers = go(page, shop, "k-hidden")
    page.evaluate(HIDE, True)
    clock.advance(1500)
    assert clock.n_sent == 0
    page.evaluate(HIDE, False)
    clock.advance(1500)
    becomes(page, lambda: kinds(shop, "k-hidden"), ["view_promotion"] * len(offers))


@pytest.mark.browser
def test_leaving_the_page_loses_nothing(page: Page, shop: Shop) -> None:
    go(page, shop, "k-leave")
    page.click("li.mersalg-cross_sell button.mersalg-add")
    page.goto("about:blank")
    becomes(page, lambda: "add_to_cart" in kinds(shop, "k-leave"), True)


@pytest.mark.browser
def test_events_that_found_no_answer_are_sent_again_and_count_once(page: Page, shop: Shop) -> None:
    failures = [503, 0]

    def meet(route: Any) -> None:
        if not failures:
            route.fallback()
            return
        status = failures.pop()
        if not status:
            route.fetch()  # it arrives, but the answer is lost
            route.abort()
        else:
            route.fulfill(status=status)

    page.route("**/v1/events", meet)
    offers = go(page, shop, "k-again")
    becomes(page, lambda: kinds(shop, "k-again"), ["view_promotion"] * len(offers))
    becomes(page, lambda: failures, [])
    page.wait_for_timeout(2500)  # longer than until the next attempt, which is not made
    assert kinds(shop, "k-again") == ["view_promotion"] * len(offers)


@pytest.mark.browser
@pytest.mark.parametrize(
    "broken", [{"url": "http://127.0.0.1:9"}, {"key": "unknown"}], ids=["away", "refused"]
)
def test_a_service_that_fails_leaves_the_page_as_it_is(
    page: Page, shop: Shop, broken: dict[str, str]
) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    assert go(page, shop, "k-broken", **broken) == []
    assert page.inner_text("#end") == "Pay here"
    assert page.inner_html("#offers") == ""
    assert page.title() == "A shop"
    assert errors == []


@pytest.mark.browser
@pytest.mark.parametrize(
    "call",
    [
        "Mersalg.show()",
        "Mersalg.show({})",
        "Mersalg.show({url: 'http://[', key: 1, cart: {}})",
        "(IntersectionObserver = undefined, Mersalg.show({url: '', key: '', cart: {}}))",
        "(crypto.getRandomValues = AbortSignal.timeout = undefined,"
        " Mersalg.show({url: '', key: '', cart: {}, element: null}))",
    ],
)
def test_whatever_it_is_called_with_the_page_goes_on(page: Page, shop: Shop, call: str) -> None:
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    go(page, shop, "k-wrong")
    assert page.evaluate(call) == []
    page.wait_for_timeout(50)  # for an error of a callback to be raised
    assert errors == []


@pytest.mark.browser
def test_what_was_added_can_be_taken_back(page: Page, shop: Shop) -> None:
    offers = go(page, shop, "k-undo", undo="yes", words="yes")
    name, item_id = offers[0]["name"], offers[0]["item_id"]
    item = page.locator("#offers .mersalg-list > li").first
    before = item.bounding_box()
    page.get_by_role("button", name=f"Take it: {name}").click()
    added = page.get_by_role("button", name=f"Added: {name}")
    added.click(force=True)
    assert page.get_by_role("status").inner_text() == f"Added: {name}"
    page.get_by_role("button", name=f"Undo: {name}").click()
    assert page.evaluate("window.added") == [item_id, f"not {item_id}"], "added once"
    assert page.get_by_role("status").inner_text() == f"Undo: {name}"
    assert page.evaluate("document.activeElement.ariaLabel") == f"Take it: {name}"
    assert item.bounding_box() == before
    assert "Undo" not in item.inner_text()
    # Where the shop takes nothing back, nothing says so.
    go(page, shop, "k-no-undo")
    page.click("#offers button.mersalg-add >> nth=0")
    assert not page.locator("#offers button.mersalg-dismiss").first.is_visible()


@pytest.mark.browser
@pytest.mark.parametrize(
    ("lang", "placement", "title", "add", "price"),
    [
        ("en", "drawer", "You may also like", "Add", "199 NOK"),
        ("nb", "cart", "Du liker kanskje også", "Legg til", "199\u00a0kr"),
        ("nb", "post_purchase", "Legg til i bestillingen", "Legg til", "199\u00a0kr"),
        ("nb", "thank_you", "Til neste gang", "Legg til", "199\u00a0kr"),
    ],
)
def test_it_speaks_the_language_of_the_page(
    page: Page, shop: Shop, lang: str, placement: str, title: str, add: str, price: str
) -> None:
    offers = go(page, shop, f"k-{lang}-{placement}", lang=lang, placement=placement)
    region = page.get_by_role("region", name=title)
    assert region.get_attribute("lang") == lang
    assert f"mersalg-{placement}" in (region.get_attribute("class") or "").split()
    reported = region.inner_text()
    assert price in reported
    assert {
        button.inner_text() for button in region.locator(".mersalg-cross_sell .mersalg-add").all()
    } == {add}
    assert len(region.get_by_role("list").first.get_by_role("listitem").all()) >= len(offers)


@pytest.mark.browser
@pytest.mark.parametrize("width", [375, 1440])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_looks_finished_under_a_strict_policy(
    browser: Browser, shop: Shop, width: int, scheme: Any
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, has_touch=width < 800
    )
    context.set_default_timeout(1000 * WAIT_SECONDS)
    page = context.new_page()
    problems: list[str] = []
    page.on("console", lambda message: problems.append(message.text))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.add_init_script(
        """window.moved = 0; new PerformanceObserver((list) => list.getEntries().forEach(
        (entry) => { if (!entry.hadRecentInput) moved += entry.value; }))
        .observe({type: "layout-shift", buffered: true});"""
    )
    language = "nb" if scheme == "dark" else "en"
    try:
        go(page, shop, f"k-look-{width}-{scheme}", lang=language, undo="yes")
        page.click("#offers button.mersalg-add >> nth=0")
        page.wait_for_timeout(100)
        page.screenshot(path=SCREENSHOTS / f"offers.{language}-{width}-{scheme}.png")
        assert page.evaluate("window.moved") == 0
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        for button in page.locator("#offers button").all():
            box = button.bounding_box()
            assert box is not None
            assert box["height"] >= 38
            ink, paper = button.evaluate(
                "(made) => { const own = getComputedStyle(made);"
                " return [own.color, own.backgroundColor]; }"
            )
            assert ink != paper
            assert ink != "rgb(255, 255, 0)", "the colours of the page's text, not its buttons'"
        (list_box, end) = (page.locator(each).bounding_box() for each in (".mersalg-list", "#end"))
        assert list_box is not None
        assert end is not None
        assert list_box["y"] + list_box["height"] <= end["y"]
        assert problems == []
        go(page, shop, f"k-plain-{width}-{scheme}", plain="yes")
        assert page.evaluate("document.adoptedStyleSheets.length") == 0
    finally:
        context.close()


@pytest.mark.browser
def test_the_keyboard_alone_does_everything(page: Page, shop: Shop) -> None:
    offers = go(page, shop, "k-keys", undo="yes")
    names = [offer["name"] for offer in offers]
    page.keyboard.press("Tab")
    label = "document.activeElement.ariaLabel"
    assert page.evaluate(label) == f"Add: {names[0]}"
    page.keyboard.press("Enter")
    assert page.evaluate(label) == f"Added: {names[0]}"
    page.keyboard.press("Tab")
    page.keyboard.press("Space")
    assert page.evaluate(label) == f"Add: {names[0]}"
    page.keyboard.press("Tab")
    for name in names[1:]:
        assert page.evaluate(label) == f"No, thanks: {names[names.index(name) - 1]}"
        page.keyboard.press("Enter")
        verb = "Choose instead" if name == names[-1] else "Add"
        found = page.evaluate("[...document.querySelectorAll('#offers li .mersalg-add')].length")
        assert found == len(names) - names.index(name)
        assert page.evaluate(label) == f"{verb}: {name}"
        page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    assert page.inner_html("#offers") == ""


def test_the_gallery_shows_every_picture_and_each_is_small() -> None:
    page = (DOCS / "how-to" / "gallery.md").read_text()
    shown = set(re.findall(r"\(\.\./pictures/([^)]+)\)", page))
    taken = {path.name: path for path in (DOCS / "pictures").glob("widget-*.png")}
    assert shown == taken.keys()
    assert {int(name.split("-")[2]) for name in shown} == {375, 1440}
    assert all(path.stat().st_size < 60_000 for path in taken.values())
