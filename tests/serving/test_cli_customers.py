"""`mersalg customers`: export, erase and rotate, each run twice."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mersalg.engine.errors import ConfigError, StorageMismatch
from mersalg.engine.fact_bodies import pack
from mersalg.engine.facts import Event
from mersalg.engine.forgotten import Forgotten
from mersalg.serving.spool import Spool
from tests.support.commands import run


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("MERSALG_SECRET", raising=False)
    monkeypatch.delenv("MERSALG_SECRET_FILE", raising=False)
    facts = [
        {
            "type": "view_promotion",
            "event_id": f"e{number}",
            "occurred_at": f"2026-03-0{number}T10:00:00+01:00",
            "offer_id": f"o{number}",
            "customer_id": customer,
        }
        for number, customer in enumerate(("kari", "ola", "kari"), start=1)
    ]
    file = tmp_path / "facts.jsonl"
    file.write_text("\n".join(map(json.dumps, facts)) + "\n")
    run("events", "import", file, "--database", tmp_path / "facts.db")
    return tmp_path / "facts.db"


def _of(customer: str, database: Path) -> list[str]:
    reported = json.loads(run("customers", "export", customer, "--database", database, "--json"))
    assert reported["customer_id"] == customer
    return [fact["event_id"] for fact in reported["facts"]]


def test_what_is_kept_is_printed_and_names_nobody(database: Path) -> None:
    assert _of("kari", database) == ["e1", "e3"]
    assert _of("nobody", database) == []
    lines = run("customers", "export", "kari", "--database", database).splitlines()
    assert [json.loads(line)["event_id"] for line in lines] == ["e1", "e3"]
    assert "kari" not in "".join(lines)


def test_what_waits_in_the_spool_is_erased_too(database: Path, tmp_path: Path) -> None:
    waiting = Spool(Path(f"{database}.spool"), 1_000_000)
    for number in (7, 8):
        event = Event(f"e{number}", "view_promotion", number, offer_id="o1", customer_id="kari")
        waiting.append([pack(event), b"damaged, and of nobody"])
    waiting.set_aside(b'{"customer_id":"kari"', "damaged")
    kept = waiting.set_aside(b'{"customer_id":"karianne"', "damaged")
    waiting.close()
    reported = json.loads(run("customers", "erase", "kari", "--database", database, "--json"))
    assert reported["facts"] == 4
    assert _of("kari", database) == []
    assert not list(kept.parent.glob("*.spool"))
    left = b"".join(path.read_bytes() for path in kept.parent.iterdir())
    assert b'"kari"' not in left
    assert b'"karianne"' in left


def test_erased_in_facts_and_models(database: Path, tmp_path: Path) -> None:
    command = ("customers", "erase", "kari", "--database", database, "--models", tmp_path / "m")
    assert "detached 2 facts from the customer, who is removed from the models" in run(*command)
    assert _of("kari", database) == []
    assert json.loads(run(*command, "--json")) == {"customer_id": "kari", "facts": 0}
    assert len(Forgotten(tmp_path / "m").hashes()) == 1
    assert _of("ola", database) == ["e2"]


def test_a_new_secret_twice(database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored = run("events", "export", "--database", database)
    for turn in (2, 3):
        reported = json.loads(run("customers", "rotate", "--database", database, "--json"))
        assert reported == {"facts": 3, "secret_file": f"{database}.key"}
        assert len(Path(f"{database}.key").read_text().split()) == turn
        assert _of("kari", database) == ["e1", "e3"]
    assert run("events", "export", "--database", database) != stored
    present = ("customers", "rotate", "--present", "--database", database)
    assert "hashed 0 facts with the new secret" in run(*present)
    # What was exported under the first secret finds its people again.
    old = database.with_name("old.jsonl")
    old.write_text(stored)
    assert "3 duplicates" in run("events", "import", old, "--database", database)
    monkeypatch.setenv("MERSALG_SECRET", "another secret, long enough")
    for command in (present, ("customers", "export", "kari", "--database", database)):
        with pytest.raises(StorageMismatch, match="another secret"):
            run(*command)


def test_a_mistyped_database_is_reported(tmp_path: Path) -> None:
    for command in (("export", "kari"), ("erase", "kari"), ("rotate",)):
        with pytest.raises(ConfigError, match="there is no database"):
            run("customers", *command, "--database", tmp_path / "none.db")
        assert not list(tmp_path.iterdir())
