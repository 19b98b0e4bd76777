"""The salt of the arms: random for each database, the same for all who use it, never lost."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import orjson
import pytest
import sqlalchemy

from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.experiment import PUBLIC_SALT, assign_arm, unit_of
from mersalg.engine.storage.linked_facts import FactScope
from mersalg.engine.storage.settings import SALT
from mersalg.engine.storage.store import Store, open_store
from mersalg.serving.checkout import decide
from mersalg.serving.salt import Salt
from mersalg.serving.schemas import SuggestionRequest
from tests.support.commands import attempt, run
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server
from tests.support.waiting import eventually

SECRET = b"a secret of the tests, long enough"
UNSET = PUBLIC_SALT
"""What models of versions without random salts state."""


def opened(url: str, secret: bytes = SECRET) -> Store:
    store = open_store(url, secret=secret)
    store.migrate()
    return store


def test_each_new_database_has_a_random_salt_that_all_agree_on(fresh_database: str) -> None:
    stores = [open_store(fresh_database, secret=SECRET) for _ in range(4)]
    stores[0].upgrade()
    with ThreadPoolExecutor(4) as threads:
        found = set(threads.map(lambda store: store.salt(), stores))
    assert len(found) == 1
    for store in stores:
        store.close()
    other = opened("sqlite://")
    assert len(found | {other.salt(), PUBLIC_SALT}) == 3
    other.close()


def test_rotating_secrets_changes_no_salt(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    first = opened(url)
    salt = first.salt()
    first.close()
    rotated = open_store(url, secret=SECRET + b"\nanother secret, long enough too")
    rotated.people.rotate(lambda _n_changed: None)
    assert rotated.salt() == salt
    rotated.close()


def test_a_database_with_decisions_keeps_the_salt_that_they_were_drawn_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MERSALG_SECRET", SECRET.decode())
    url = f"sqlite:///{tmp_path / 'facts.db'}"
    store = opened(url)
    store.facts.append([decide(tiny_model(), SuggestionRequest(checkout_id="k"))])
    store.forget_note(SALT)  # as earlier versions left it
    store.close()
    store = opened(url)
    assert store.salt() == PUBLIC_SALT
    store.close()
    models = tmp_path / "models"
    arguments = ("check", "--models", models, "--database", url, "--json")
    publish_model(models, tiny_model(salt=UNSET))
    assert "public" in attempt(*arguments).stdout
    publish_model(models, tiny_model(salt="of the shop"))
    assert "public" not in attempt(*arguments).stdout


def test_a_salt_that_is_set_wins_and_without_any_nobody_is_held_out() -> None:
    for number in range(50):
        request = SuggestionRequest(checkout_id="k", customer_id=f"c{number}")
        unit = unit_of(f"c{number}", None)
        own = decide(tiny_model(salt="set", holdout=0.5), request, salt="stored")
        assert own.arm == assign_arm(unit, salt="set", holdout=0.5)
        stored = decide(tiny_model(salt=UNSET, holdout=0.5), request, salt="stored")
        assert stored.arm == assign_arm(unit, salt="stored", holdout=0.5)
        unknown = decide(
            tiny_model(salt=UNSET, holdout=0.5), request, salt=None, known_arm="control"
        )
        assert (unknown.arm, unknown.control_share) == ("treatment", 0.0)


def test_the_copy_is_the_owners_alone_and_serves_while_the_database_is_away(tmp_path: Path) -> None:
    copy = tmp_path / "beside" / "spool.salt"
    store = opened(f"sqlite:///{tmp_path / 'facts.db'}")
    salt = Salt(store, copy)
    salt.read()
    assert salt.stored == store.salt() == copy.read_text()
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    store.close()
    away = open_store(f"sqlite:///{tmp_path / 'nowhere' / 'facts.db'}", secret=SECRET)
    for path, expected in ((copy, salt.stored), (tmp_path / "none.salt", None)):
        alone = Salt(away, path)
        with pytest.raises(StorageUnavailable):
            alone.read()
        alone.recall()
        assert alone.stored == expected
    away.close()


def test_another_database_brings_its_own_salt_without_a_restart(tmp_path: Path) -> None:
    copy, store = tmp_path / "spool.salt", opened(f"sqlite:///{tmp_path / 'facts.db'}")
    salt = Salt(store, copy)
    salt.read()
    before = salt.stored
    store.forget_note("experiment_salt")  # as if the file had been made again
    salt.read()
    assert salt.stored == store.salt() == copy.read_text() != before
    store.close()


def test_a_service_that_finds_no_salt_treats_everybody_until_it_does(tmp_path: Path) -> None:
    publish_model(tmp_path / "models", tiny_model(salt=UNSET, holdout=1.0))
    database = tmp_path / "away" / "facts.db"
    with (
        running_server(
            tmp_path,
            database=f"sqlite:///{database}",
            environment={"MERSALG_SECRET": SECRET.decode()},
        ) as server,
        server.client() as client,
    ):

        def answer(checkout_id: str) -> tuple[str, str]:
            cart = {"checkout_id": checkout_id, "session_id": "s", "lines": [{"item_id": "case-1"}]}
            said = client.post("/v1/suggestions", json=cart).raise_for_status().json()
            return said["arm"], said["tracking"]

        assert answer("k1") == ("treatment", "deferred")
        database.parent.mkdir()
        eventually(lambda: answer("k2") == ("control", "recorded"))
    store = opened(f"sqlite:///{database}")
    shares = {
        fact.checkout_id: fact.control_share  # type: ignore[union-attr]
        for fact in store.facts.read(FactScope())
    }
    assert (shares["k1"], shares["k2"]) == (0.0, 1.0)
    assert (tmp_path / "spool.salt").read_text() == store.salt()
    store.close()


def test_suggestions_without_a_service_say_that_their_arms_are_others(tmp_path: Path) -> None:
    carts, out = tmp_path / "carts.jsonl", tmp_path / "out.jsonl"
    carts.write_text('{"checkout_id": "k"}\n')
    for salt, says in ((UNSET, False), ("of the shop", True)):
        publish_model(tmp_path / "models", tiny_model(salt=salt))
        arguments = ("suggest", "--models", tmp_path / "models", "--carts", carts, "--out", out)
        assert orjson.loads(run(*arguments, "--json"))["arms_of_service"] is says
        assert ("arms differ" in attempt(*arguments).stderr) is not says
    assert "arms differ" not in attempt(*arguments, "--no-holdout").stderr


def test_a_stored_salt_is_no_setting_of_the_shop(fresh_database: str) -> None:
    store = opened(fresh_database)
    assert store.reports.settings() == {}
    engine = sqlalchemy.create_engine(store.url)
    with engine.connect() as connection:
        query = sqlalchemy.text("select value from settings where name = 'experiment_salt'")
        assert connection.scalar(query) == store.salt()
    engine.dispose()
    store.close()
