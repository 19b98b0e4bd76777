"""Pages of items, rules, ladders, models, the page to try a cart, and the health of the facts."""

from __future__ import annotations

import csv
import html
import io
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from playwright.sync_api import Browser

from tests.serving.test_dashboard import opened, sell
from tests.serving.test_live_shop import KEYS, offers
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually

ADMIN, REPORTER = "admin-key-k3y", "report-key-k3y"
PAGES = (
    *("/dashboard/items", "/dashboard/rules", "/dashboard/ladders"),
    "/dashboard/items/item?of=cross_sell&key=case-1",
    "/dashboard/ladders/upgrade?of=upsell&key=phone-64+-%3E+phone-256",
    *("/dashboard/models", "/dashboard/try?item=phone-64&q=case", "/dashboard/health"),
)


@pytest.fixture(scope="module")
def selling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("selling")
    for name in ("Kafé <Sentrum>", "Kafé <Sentrum> & Co"):
        publish_model(folder / "models", tiny_model(holdout=0.0, shop_name=name))
    with running_server(folder, workers=4, keys=KEYS, key=ADMIN) as server:
        sell(f"sqlite:///{folder / 'facts.db'}")
        yield server


@pytest.fixture
def admin(selling: Server) -> Iterator[httpx.Client]:
    """A browser that is signed in, without scripts."""
    with httpx.Client(
        base_url=selling.url, follow_redirects=True, trust_env=False, timeout=60
    ) as client:
        client.post("/dashboard/login", data={"key": ADMIN}).raise_for_status()
        yield client


def read(client: httpx.Client, address: str) -> str:
    """Return a page, once it is counted."""

    def answer() -> str:
        page = client.get(address).raise_for_status()
        return "" if "Refresh" in page.headers else page.text

    return eventually(answer)


def forms(page: str) -> list[tuple[str, str, dict[str, str]]]:
    """Return address, label and fields of every form that posts."""
    found: list[tuple[str, str, dict[str, str]]] = []
    for each in re.finditer(r'<form method="post" action="([^"]+)">(.*?)</form>', page, re.DOTALL):
        fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', each[2])
        label = re.sub(r"<[^>]+>", "", each[2]).strip()
        found.append((each[1], label, {name: html.unescape(text) for name, text in fields}))
    return found


def press(client: httpx.Client, page: str, wanted: Callable[[str, dict[str, str]], bool]) -> str:
    """Send the first form that is wanted, and return the page that follows."""
    [address, _, fields] = next(each for each in forms(page) if wanted(each[1], each[2]))
    return client.post(html.unescape(address), data=fields).raise_for_status().text


def offered_everywhere(selling: Server, is_so: Callable[[list[str]], bool]) -> None:
    def look() -> bool:
        found: list[list[str]] = []
        for _ in range(12):  # of any worker, each over a connection of its own
            with selling.client(key="server-key-k3y") as client:
                found.append(list(offers(client)))
        return all(map(is_so, found))

    eventually(look)


@pytest.mark.parametrize("address", PAGES)
@pytest.mark.parametrize("language", ["en", "nb"])
def test_every_page_is_there_in_both_languages(
    admin: httpx.Client, address: str, language: str
) -> None:
    page = read(admin, address + ("&" if "?" in address else "?") + f"lang={language}")
    assert f'<html lang="{language}">' in page
    assert "Kafé &lt;Sentrum&gt;" in page
    assert "{" not in re.sub(r"<code>.*?</code>", "", page)


@pytest.mark.parametrize("by", ["item", "rule", "upgrade"])
def test_rows_are_those_of_the_report(admin: httpx.Client, selling: Server, by: str) -> None:
    name = {"item": "items", "rule": "rules", "upgrade": "ladders"}[by]
    read(admin, f"/dashboard/{name}")
    rows = list(csv.DictReader(io.StringIO(read(admin, f"/dashboard/{name}?format=csv"))))
    with selling.client() as client:
        report = client.get("/v1/reports/rates", params={"by": by}).json()
    expected = {
        (group["key"][by], kind): group[kind]
        for group in report["groups"]
        for kind in ("cross_sell", "upsell")
        if group["key"][by] != "unknown" and group[kind]["offer"]["denominator"]
    }
    assert {(row["key"], row["kind"]) for row in rows} == expected.keys()
    for row in rows:
        of = expected[row["key"], row["kind"]]
        assert int(row["shown"]) == of["offer"]["denominator"]
        assert int(row["converted"]) == of["offer"]["numerator"]
        assert float(row["rate"]) == of["offer"]["value"]
        assert float(row["rate_shrunken"]) == pytest.approx(of["offer"]["shrunken"])
        assert row["net_revenue"] == of["net_revenue"]


def test_tables_are_searched_and_sorted_by_their_address(admin: httpx.Client) -> None:
    def names(query: str) -> list[str]:
        page = read(admin, f"/dashboard/items?lang=en&{query}")
        return re.findall(r'<th scope="row">.*?<a href="[^"]+">([^<]+)</a>', page, re.DOTALL)

    assert names("sort=name&order=asc") == ["Case", "Phone 256 GB"]
    assert names("sort=name&order=desc") == ["Phone 256 GB", "Case"]
    assert names("sort=kept&order=desc") == ["Phone 256 GB", "Case"]
    assert names("q=256+phone") == ["Phone 256 GB"]
    assert names("q=nothing+such") == []
    assert names("show=changed") == []


def test_an_item_is_stopped_on_every_worker_and_undone(
    admin: httpx.Client, selling: Server
) -> None:
    offered_everywhere(selling, lambda found: "case-1" in found)
    page = read(admin, "/dashboard/items?lang=en")
    after = press(
        admin,
        page,
        lambda label, fields: label.startswith("Stop") and fields.get("item") == "case-1",
    )
    assert "Stopped." in after
    assert "stopped" in re.findall(r'class="tag">([^<]+)', after)
    offered_everywhere(selling, lambda found: "case-1" not in found)
    press(admin, after, lambda label, fields: label == "Undo" and "rule" in fields)
    offered_everywhere(selling, lambda found: "case-1" in found)
    page = read(admin, "/dashboard/items/item?lang=en&of=cross_sell&key=case-1")
    assert "Stopped." in page
    assert "Undone." in page
    with selling.client() as client:
        entries = client.get("/v1/audit").json()["entries"]
    assert {"set rule", "end rule"} <= {each["action"] for each in entries}


def test_an_item_is_pinned_first_and_undone(admin: httpx.Client, selling: Server) -> None:
    page = read(admin, "/dashboard/items?lang=nb")
    after = press(
        admin, page, lambda label, fields: label.startswith("Fest") and fields["item"] == "case-1"
    )
    assert "Festet." in after
    offered_everywhere(selling, lambda found: found[0] == "case-1")
    press(admin, after, lambda label, _: label == "Angre")
    page = read(admin, "/dashboard/items?lang=nb")
    assert not any(label.startswith("Løsne") for _, label, _ in forms(page))


def test_changes_need_an_admin_key_and_a_form_of_ours(admin: httpx.Client, selling: Server) -> None:
    change = {"action": "block", "item": "case-1"}
    for path in ("/dashboard/change", "/dashboard/undo", "/dashboard/models/rollback"):
        assert admin.post(path, data=change).status_code == 403
        assert admin.post(path, data={**change, "token": "0" * 64}).status_code == 403
    with httpx.Client(base_url=selling.url, trust_env=False, follow_redirects=True) as reporter:
        reporter.post("/dashboard/login", data={"key": REPORTER})
        page = read(reporter, "/dashboard/items")
        assert [address for address, _, _ in forms(page)] == ["/dashboard/logout"]
        # Ten buyers are more than few; a cart of one of them is not shown.
        assert "Latest carts" not in read(
            reporter, "/dashboard/items/item?lang=en&of=cross_sell&key=case-1"
        )
        assert reporter.post("/dashboard/change", data=change).status_code == 403
    token = next(fields["token"] for _, _, fields in forms(read(admin, "/dashboard/items"))
                 if "token" in fields)  # fmt: skip
    away = {**change, "action": "pin", "token": token, "back": "https://elsewhere.example/x"}
    answer = admin.post("/dashboard/change", data=away, follow_redirects=False)
    assert answer.headers["location"].startswith("/dashboard/items?")
    rule = re.search(r"rule=([^&]+)", answer.headers["location"])
    assert rule is not None
    admin.post("/dashboard/undo", data={"token": token, "rule": rule[1].replace("%2F", "/")})


def test_versions_are_compared_published_and_rolled_back(
    admin: httpx.Client, selling: Server
) -> None:
    with selling.client() as client:
        known = client.get("/v1/models").json()
    newer = known["published"]
    [older] = [name for each in known["versions"] if (name := each["version"]) != newer]
    page = read(admin, f"/dashboard/models?lang=en&before={older}&after={newer}")
    assert "0 new, 0 gone" in page
    assert "Something else is offered to" in page
    page = press(admin, page, lambda label, fields: fields.get("version") == older)
    assert "Published." in page
    assert older in page[: page.index("in use")].rpartition("<tr>")[2]
    press(admin, page, lambda label, _: label == "Roll back")
    with selling.client() as client:
        assert client.get("/v1/models").json()["published"] == newer
    answer = admin.get(f"/dashboard/models?before={older}&after=../../etc")
    assert answer.status_code == 200
    assert "no version ../../etc" in answer.text


def test_a_cart_is_tried_without_a_trace(admin: httpx.Client, selling: Server) -> None:
    page = read(admin, "/dashboard/try?lang=en&item=phone-64&item=unheard-of")
    seen = re.findall(r'<li><h3><svg.*?</svg><span>([^<]+) <span class="price">', page, re.DOTALL)
    with selling.client(key="server-key-k3y") as client:
        body = {
            "checkout_id": "t", "preview": True, "locale": "en",
            "lines": [{"item_id": "phone-64"}, {"item_id": "unheard-of"}],
        }  # fmt: skip
        answer = client.post("/v1/suggestions", json=body).raise_for_status().json()
    assert [name.strip() for name in seen] == [each["name"] for each in answer["offers"]]
    assert "412 of 1,310 orders with Phone 64 GB also hold it" in page
    assert "not in the model" in page
    assert "the cart holds it" in page
    assert "out of stock" in page or "not on sale" in page
    assert "10" in read(admin, "/dashboard/health")


def test_health_names_what_to_fix(admin: httpx.Client, selling: Server) -> None:
    assert "All item ids are known" in read(admin, "/dashboard/health?lang=en")
    with selling.client(key="server-key-k3y") as client:
        lines = [{"item_id": "gift-card"}, {"item_id": "phone-64"}]
        client.post("/v1/suggestions", json={"checkout_id": "g", "lines": lines})
    page = read(admin, "/dashboard/health?lang=en")
    assert "Unknown item ids: 1" in page
    assert "<code>gift-card</code>" in page
    assert "PUT /v1/items" in page


@pytest.mark.browser
def test_an_item_is_stopped_by_keyboard(browser: Browser, selling: Server) -> None:
    with opened(browser) as seen:
        page = seen.page
        page.goto(f"{selling.url}/dashboard/login")
        page.fill("#key", ADMIN)
        page.keyboard.press("Enter")
        page.wait_for_url(re.compile("/dashboard$|/dashboard\\?"))
        page.goto(f"{selling.url}/dashboard/items?lang=en")
        page.locator("button", has_text="Stop Case").first.focus()
        page.keyboard.press("Enter")
        page.get_by_text("Stopped.", exact=True).wait_for()
        page.locator("button", has_text="Undo").first.focus()
        page.keyboard.press("Enter")
        page.get_by_text("Undone.", exact=True).wait_for()
        assert seen.complaints == []


def test_an_empty_shop_is_reported(tmp_path: Path) -> None:
    with running_server(tmp_path) as server, server.client() as client:
        for address in ("items", "rules", "ladders"):
            assert "Nothing was offered" in read(client, f"/dashboard/{address}?lang=en")
        assert "No model was trained yet" in read(client, "/dashboard/models?lang=en")
        assert "No facts yet" in read(client, "/dashboard/health?lang=en")
        assert "It is empty" in read(client, "/dashboard/try?lang=en")
        missing = client.get("/dashboard/items/item?of=upsell&key=nothing")
        assert missing.status_code == 404
