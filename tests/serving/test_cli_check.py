"""`mersalg check` tells what works, what does not, and what to do."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.native.library import library
from tests.support.commands import attempt, run
from tests.support.models import tiny_model
from tests.support.servers import publish_model
from tests.support.small_shop import write_small_shop


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("MERSALG_SECRET", "MERSALG_SECRET_FILE", "MERSALG_KEYS", "MERSALG_DATABASE"):
        monkeypatch.delenv(name, raising=False)
    write_small_shop(tmp_path)
    publish_model(tmp_path / "models", tiny_model())
    run("migrate", "--database", tmp_path / "facts.db")
    return tmp_path


def checked(place: Path, *more: object) -> tuple[int, dict[str, dict[str, str]]]:
    result = attempt(
        *("check", "--config", place / "shop.toml", "--models", place / "models", "--json"),
        *("--database", place / "facts.db", *more),
    )
    told = json.loads(result.stdout)
    assert told["ok"] == (result.exit_code == 0)
    return result.exit_code, {each["part"]: each for each in told["findings"]}


def test_all_is_well(place: Path) -> None:
    code, found = checked(place)
    assert code == 0
    assert {part: each["status"] for part, each in found.items()} == {
        "shop file": "ok",
        "orders and catalogue": "ok",
        "models": "ok",
        "kernels": "ok" if library() is not None else "warning",
        "database": "ok",
        "keys and settings": "warning",
    }
    assert "orders of" in found["orders and catalogue"]["message"]
    assert "answers" in found["models"]["message"]
    people = run(
        "check", "--config", place / "shop.toml", "--models", place / "models",
    )  # fmt: skip
    assert "name it by --database" in people


def test_each_fault_is_named_with_what_to_do(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (place / "shop.toml").write_text((place / "shop.toml").read_text() + "\n[orderz]\n")
    version = next(each for each in (place / "models").iterdir() if each.is_dir())
    damaged = next(each for each in version.iterdir() if each.suffix == ".joblib")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    monkeypatch.setenv("MERSALG_SECRET", "another secret, long enough")
    monkeypatch.setenv("MERSALG_KEYS", "janitor:key")
    code, found = checked(place)
    assert code == 1
    del found["kernels"]  # are as they were installed
    assert {each["status"] for part, each in found.items()} == {"failed"}
    assert "orderz" in found["shop file"]["message"]
    assert "sha256" in found["models"]["message"]
    assert "rollback" in found["models"]["advice"]
    assert "another secret" in found["database"]["message"]
    assert "must be scope:key" in found["keys and settings"]["message"]


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = attempt("check", "--database", tmp_path / "facts.db")
    assert result.exit_code == 1
    for words in ("no shop.toml here", "mersalg train makes", "no database at"):
        assert words in result.stdout
    assert not (tmp_path / "facts.db").exists()
