"""Checkout tokens: made by the shop's server, valid for a day, for one checkout and customer."""

from __future__ import annotations

import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from shutil import which
from typing import Any

import httpx
import orjson
import pytest

from mersalg.engine.errors import ConfigError
from mersalg.serving.security import VALID_SECONDS, token_problem
from mersalg.serving.settings import load_settings
from mersalg_client import checkout_token
from tests.support.commands import run
from tests.support.models import tiny_model
from tests.support.servers import Server, publish_model, running_server

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "browser.md").read_text()
SECRET = b"a-checkout-secret-of-the-shop"
KEYS = "storefront:front-key-k3y server:server-key-k3y"
AT = 1_772_442_005
KNOWN = {
    "c_9": "v1.1772442005.865d132b5ef3a3feb3da6eddbd2b697dc6198b9c724d4f57ab39bbddc515dfff",
    None: "v1.1772442005.8694088a3a5a7e34806abed1c98c667dc9f7a8a861771cb2bd06cdaad31af7bf",
}


@pytest.mark.parametrize(("customer", "token"), KNOWN.items())
def test_a_token_is_that_of_the_design(customer: str | None, token: str) -> None:
    assert checkout_token(SECRET, "ch_81", customer, at=AT) == token
    assert token_problem(token, SECRET, "ch_81", customer, AT) is None


@pytest.mark.parametrize(
    ("language", "program", "call"),
    [
        ("javascript", ("node", "-e"), "console.log(checkoutToken({0}, {1}, {2}))"),
        ("php", ("php", "-r"), "echo checkout_token({0}, {1}, {2});"),
    ],
)
@pytest.mark.parametrize("customer", KNOWN)
def test_the_code_of_the_page_makes_tokens(
    language: str, program: tuple[str, str], call: str, customer: str | None
) -> None:
    (code,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    assert len(code.splitlines()) <= 10
    if which(program[0]) is None:
        pytest.skip(f"{program[0]} is not installed on this machine")
    named = [orjson.dumps(each).decode() for each in (SECRET.decode(), "ch_Ø81", customer)]
    command = [*program, code + call.format(*named)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert token_problem(done.stdout.strip(), SECRET, "ch_Ø81", customer, time.time()) is None


@pytest.mark.parametrize(
    ("token", "said"),
    [
        (checkout_token(SECRET, "ch_81", "c_9", at=AT - VALID_SECONDS - 1), "has expired"),
        (checkout_token(SECRET, "ch_81", "c_9", at=AT + 301), "is dated in the future"),
        (checkout_token(SECRET, "ch_82", "c_9", at=AT), "not of this checkout"),
        (checkout_token(SECRET, "ch_81", "c_8", at=AT), "not of this checkout"),
        (checkout_token(SECRET, "ch_81", at=AT), "not of this checkout"),
        (
            checkout_token(b"another secret of 16 bytes", "ch_81", "c_9", at=AT),
            "not of this checkout",
        ),
        (KNOWN["c_9"].replace(".1772442005.", ".01772442005."), "not of this checkout"),
        (KNOWN["c_9"].replace(".1772442005.", f".{'1' * 5_000}."), "not of this checkout"),
        (KNOWN["c_9"].upper().replace("V1", "v1"), "not of this checkout"),
        (KNOWN["c_9"] + "\n", "not of this checkout"),
        (KNOWN["c_9"] + "\ud800", "not of this checkout"),
        ("v2" + KNOWN["c_9"][2:], "is not v1."),
        ("v1.٣.x", "is not v1."),
        ("v1", "is not v1."),
    ],
)
def test_no_other_token_is_believed(token: str, said: str) -> None:
    assert said in (token_problem(token, SECRET, "ch_81", "c_9", AT) or "")


def test_the_parts_of_a_token_cannot_be_moved() -> None:
    with pytest.raises(ValueError, match="newline"):
        checkout_token(SECRET, "ch\nc_9", at=AT)
    # What a server would have signed that lets newlines into an id.
    signed = checkout_token(SECRET, "ch", "c_9", at=AT)
    assert "newline" in (token_problem(signed, SECRET, "ch\nc_9", None, AT) or "")


def test_short_secrets_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "secret"
    file.write_bytes(SECRET + b"\n")
    settings = load_settings({"MERSALG_CHECKOUT_SECRET_FILE": str(file)})
    assert settings.checkout_secret == SECRET
    assert SECRET.decode() not in repr(settings)
    with pytest.raises(ConfigError, match="shorter than 16 bytes"):
        load_settings({"MERSALG_CHECKOUT_SECRET": "short"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("tokens")
    publish_model(folder / "models", tiny_model(holdout=0.0))
    secret = {"MERSALG_CHECKOUT_SECRET": SECRET.decode()}
    with running_server(folder, keys=KEYS, key="front-key-k3y", environment=secret) as server:
        yield server


def database_of(server: Server) -> str:
    return f"sqlite:///{server.log.parent / 'facts.db'}"


def facts_of(server: Server) -> dict[str, dict[str, Any]]:
    """Return the exported facts by event id."""
    exported = run("events", "export", "--database", database_of(server))
    return {fact["event_id"]: fact for fact in map(orjson.loads, exported.splitlines())}


def suggested(client: httpx.Client, **fields: object) -> dict[str, Any]:
    body = {"checkout_id": "ch_81", "customer_id": 9, "lines": [{"item_id": "phone-64"}], **fields}
    return client.post("/v1/suggestions", json=body).raise_for_status().json()


def test_decisions_keep_who_asked(server: Server) -> None:
    token = checkout_token(SECRET, "ch_81", "9")
    with server.client() as page, server.client(key="server-key-k3y") as shop:
        plain, vouched = suggested(page), suggested(page, checkout_token=token)
        own = suggested(shop, checkout_token="nothing that is believed", scope="storefront")
        other = suggested(page, checkout_token=token, customer_id=8)
        claimed = suggested(page, scope="server")
    assert other["offers"], "a checkout goes on"
    assert other["warnings"] == ["checkout_token is not of this checkout and customer"]
    assert not any("warnings" in each for each in (plain, vouched))
    assert all("scope" in str(each["warnings"]) for each in (own, claimed)), "no field of a call"
    stored = facts_of(server)
    scopes = {name: stored[answer["decision_id"]].get("scope") for name, answer in (
        ("plain", plain), ("vouched", vouched), ("own", own), ("other", other),
        ("claimed", claimed),
    )}  # fmt: skip
    assert scopes == {
        "plain": "storefront",
        "vouched": "token",
        "own": "server",
        "other": "storefront",
        "claimed": "storefront",
    }


def test_ids_of_storefront_keys_are_apart_from_all_others(server: Server) -> None:
    """Else whoever comes first with the id of an order keeps that order out, as a conflict."""
    when, token = "2026-03-02T10:00:00+01:00", checkout_token(SECRET, "ch_81")
    purchase = {"type": "purchase", "transaction_id": "t", "items": [{"item_id": "case-1"}]}
    view = {"type": "view_promotion", "offer_id": "off_anything", "checkout_id": "ch_81"}
    ids = [f"{system}/order/{n}" for system in ("ga4", "segment", "shopify", "own") for n in "12"]
    taken = [{**view, "event_id": each, "occurred_at": when} for each in ids]
    tokens = [{**each, "checkout_token": token} for each in taken]
    orders = [{**purchase, "event_id": each, "occurred_at": when} for each in ids]
    with server.client() as page, server.client(key="server-key-k3y") as shop:

        def counts(client: httpx.Client, events: list[dict[str, object]]) -> tuple[int, int, list]:
            answer = client.post("/v1/events", json={"events": events}).json()
            assert "warnings" not in answer
            return answer["recorded"], answer["duplicates"], answer["rejected"]

        assert counts(page, taken) == (8, 0, [])
        assert counts(page, tokens) == (0, 8, []), "the same, whatever became of its token"
        assert counts(shop, orders) == (8, 0, [])
        assert counts(shop, orders) == (0, 8, [])
        assert counts(page, taken) == (0, 8, [])
        inside = [{**orders[0], "event_id": "storefront/x"}]
        recorded, _, rejected = counts(shop, inside)
        assert recorded == 0
        assert [each["code"] for each in rejected] == ["invalid"]
        longest = [{**taken[0], "event_id": "x" * length} for length in (189, 190)]
        answer = page.post("/v1/events", json={"events": longest}).json()
        assert (answer["recorded"], answer["rejected"][0]["index"]) == (1, 1)
        wrong = [{**taken[0], "event_id": "w", "checkout_token": token, "customer_id": "c"}] * 2
        answer = page.post("/v1/events", json={"events": wrong}).json()
        said = "checkout_token of 2 events is not of this checkout and customer"
        assert answer["warnings"] == [said]
        page.post(
            "/v1/events", json={"events": [{**tokens[0], "event_id": "t", "scope": "server"}]}
        )
    stored = facts_of(server)
    assert {stored[each]["type"] for each in ids} == {"purchase"}
    assert {stored[each]["scope"] for each in ids} == {"server"}
    theirs = [stored[f"storefront/{each}"] for each in ids]
    assert {(each["type"], each["scope"]) for each in theirs} == {("view_promotion", "storefront")}
    assert stored["storefront/t"]["scope"] == "token"


def test_a_history_that_is_moved_keeps_scopes_and_ids(server: Server, tmp_path: Path) -> None:
    with server.client() as page:
        suggested(page)
    exported = run("events", "export", "--database", database_of(server))
    assert '"scope":"storefront"' in exported.replace(" ", "")
    file, database = tmp_path / "facts.jsonl", f"sqlite:///{tmp_path / 'moved.db'}"
    file.write_text(exported)
    for _ in range(2):
        run("events", "import", str(file), "--database", database)
    assert run("events", "export", "--database", database) == exported


def test_a_service_without_keys_vouches_for_all(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    with running_server(tmp_path) as server, server.client() as client:
        answer = suggested(client, checkout_token="unread")
        view = {"type": "view_promotion", "event_id": "v", "occurred_at": "2026-03-02T10:00:00Z"}
        named = {"offer_id": answer["offers"][0]["offer_id"], "scope": "storefront"}
        client.post("/v1/events", json={"events": [{**view, **named}]}).raise_for_status()
        stored = facts_of(server)
    assert "warnings" not in answer
    assert all("scope" not in stored[each] for each in (answer["decision_id"], "v"))
