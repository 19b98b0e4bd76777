"""`mersalg check` tells what works, what does not, and what to do."""

from __future__ import annotations

import json
import re
import shutil
import socket
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from mersalg.engine.facts import Decision, Scope
from mersalg.engine.storage.store import open_store
from mersalg.serving.cli import surroundings
from mersalg.serving.spool import Spool
from tests.support.commands import attempt, run
from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server
from tests.support.small_shop import write_small_shop
from tests.support.waiting import eventually


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
    reported = json.loads(result.stdout)
    assert reported["ok"] == (result.exit_code == 0)
    return result.exit_code, {each["part"]: each for each in reported["findings"]}


def test_it_finds_in_the_shop_what_training_would(place: Path) -> None:
    shop = place / "shop.toml"
    text = shop.read_text() + '\n[[offers.pins]]\nitem = "no-such-item"\n'
    shop.write_text(
        text.replace("[[offers.pins]]", "[offers]\nmin_margin = 0.2\n[[offers.pins]]", 1)
    )
    lines = (place / "orders.csv").read_text().splitlines()
    header = lines[0].split(",")
    cells = lines[1].split(",")
    cells[header.index("unit_price")] = "free"
    (place / "orders.csv").write_text("\n".join([*lines, ",".join(cells)]) + "\n")
    result = attempt("check", "--config", shop, "--models", place / "models", "--json")
    messages = [each["message"] for each in json.loads(result.stdout)["findings"]]
    assert any("no item 'no-such-item' in the catalogue" in each for each in messages)
    assert any("left out 1 row:" in each and "'free'" in each for each in messages)
    assert any("offers.min_margin does not hold for" in each for each in messages)
    trained = attempt("train", "--config", shop, "--models", place / "more", "--json")
    for warning in json.loads(trained.stdout)["warnings"]:
        assert warning in messages


@pytest.mark.parametrize("count", ["vouched", "all"])
def test_a_shop_whose_checkouts_nobody_vouches_for_is_warned(place: Path, count: str) -> None:
    def decided(number: int, scope: Scope | None) -> Decision:
        made = (f"d{number}", number, f"k{number}", None, None, "treatment", "m1", "checkout", None)
        return Decision(f"d{number}", *made, (), (), scope=scope)

    store = open_store(str(place / "facts.db"))
    store.reports.save_settings({"count": count})
    store.facts.append([decided(1, "storefront"), decided(2, "storefront")])
    finding = checked(place)[1]["vouched checkouts"]
    assert finding["status"] == "warning"
    assert "none of the last 2 decisions" in finding["message"]
    counted = {"vouched": "reports count none", "all": "can change the numbers"}
    assert counted[count] in finding["message"]
    for number, scope in enumerate(("token", "server", None), 3):
        store.facts.append([decided(number, scope)])
        assert "vouched checkouts" not in checked(place)[1]
        store.facts.drop_before(10, lambda _: None)
    store.close()


def test_all_is_well(place: Path) -> None:
    code, found = checked(place)
    assert code == 0
    assert found.pop("port")["status"] in ("ok", "warning")  # it is this machine's own
    assert {part: each["status"] for part, each in found.items()} == {
        "shop file": "ok",
        "orders and catalogue": "ok",
        "models": "ok",
        "database": "ok",
        "keys and settings": "warning",
        "spool": "ok",
        "disk": "ok",
        "clock": "ok",
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
    damaged = next(each for each in version.iterdir() if each.suffix == ".npy")
    damaged.write_bytes(damaged.read_bytes()[:-1] + b"x")
    monkeypatch.setenv("MERSALG_SECRET", "another secret, long enough")
    monkeypatch.setenv("MERSALG_KEYS", "janitor:key")
    code, found = checked(place)
    assert code == 1
    assert found.pop("clock")["status"] == "ok"
    assert {each["status"] for part, each in found.items()} == {"failed"}
    assert "orderz" in found["shop file"]["message"]
    assert "sha256" in found["models"]["message"]
    assert "rollback" in found["models"]["advice"]
    assert "another secret" in found["database"]["message"]
    assert "must be scope:key" in found["keys and settings"]["message"]


def test_before_the_first_training_nothing_is_broken(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = place / "none"
    monkeypatch.chdir(place)
    result = attempt("check", "--config", "shop.toml", "--models", models, "--json")
    found = {each["part"]: each for each in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 0
    assert found["models"]["status"] == "warning"
    assert found["models"]["advice"] == "run mersalg train"
    assert "nothing to be compared with" in found["clock"]["message"]
    # A version that the gate refused is there, but nothing is served.
    version = next(each for each in (place / "models").iterdir() if each.is_dir())
    shutil.copytree(version, models / version.name)
    result = attempt("check", "--config", "shop.toml", "--models", models, "--json")
    found = {each["part"]: each for each in json.loads(result.stdout)["findings"]}
    assert result.exit_code == 1
    assert "mersalg models publish" in found["models"]["advice"]


def test_what_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = attempt("check", "--database", tmp_path / "facts.db")
    assert result.exit_code == 1
    for words in ("no shop.toml here", "run mersalg train", "no database at"):
        assert words in result.stdout
    assert not (tmp_path / "facts.db").exists()


def statuses(place: Path, part: str, *more: object) -> list[tuple[str, str]]:
    result = attempt(
        *("check", "--models", place / "models", "--json", "--database", place / "facts.db"), *more
    )
    found = json.loads(result.stdout)["findings"]
    return [(each["status"], each["message"]) for each in found if each["part"] == part]


def test_what_waits_in_the_spool(place: Path) -> None:
    folder = place / "facts.db.spool"
    spool = Spool(folder, 1000)
    spool.append([b"a fact"])
    spool.set_aside(b"another", "damaged")
    ((waits, said), (aside, file)) = statuses(place, "spool")
    assert (waits, aside) == ("warning", "warning")
    assert f"{spool.size()} bytes in 1 file waiting" in said
    assert ".damaged" in file
    folder.chmod(0o755)
    assert "others may look" in statuses(place, "spool")[0][1]
    spool.close()


def test_a_spool_that_is_full_or_off(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spool = Spool(place / "facts.db.spool", 1000)
    spool.append([b"a fact"])
    monkeypatch.setenv("MERSALG_SPOOL_LIMIT_BYTES", str(spool.size()))
    assert statuses(place, "spool")[0][0] == "failed"
    monkeypatch.setenv("MERSALG_SPOOL_LIMIT_BYTES", "0")
    assert statuses(place, "spool") == [("warning", "it is switched off")]
    spool.close()


@pytest.mark.parametrize(
    ("mode", "expected"), [(0o600, "ok"), (0o640, "ok"), (0o644, "warning"), (0o660, "failed")]
)
def test_who_may_read_keys_and_secrets(
    place: Path, monkeypatch: pytest.MonkeyPatch, mode: int, expected: str
) -> None:
    for name, content in (("KEYS", "admin:key"), ("SECRET", "0123456789abcdef")):
        path = place / name
        path.write_text(content)
        path.chmod(mode)
        monkeypatch.setenv(f"MERSALG_{name}_FILE", str(path))
    assert [status for status, _ in statuses(place, "secret files")] == [expected, expected]


def test_who_may_read_the_database(place: Path) -> None:
    (place / "facts.db").chmod(0o600)
    assert list(statuses(place, "database file")) == []
    (place / "facts.db").chmod(0o640)
    [(status, message)] = statuses(place, "database file")
    assert status == "warning"
    assert "facts.db" in message


def test_too_little_room(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for free, expected in ((50, "failed"), (500, "warning"), (5000, "ok")):
        monkeypatch.setattr(
            surroundings.shutil, "disk_usage", lambda _, mib=free: SimpleNamespace(free=mib << 20)
        )
        found = statuses(place, "disk")
        assert len(found) == 3
        assert {status for status, _ in found} == {expected}


def test_a_clock_that_is_behind(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = time.time()
    monkeypatch.setattr(surroundings.time, "time", lambda: now - 86_400)
    ((status, said),) = statuses(place, "clock")
    assert status == "failed"
    # A day, less the time since the fixture wrote the version.
    assert re.search(r"trained 8[56],\d{3} s from now", said)


@pytest.mark.postgres
def test_the_clock_of_the_database(postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (agrees,) = surroundings.clock(Path("nowhere"), postgres_url)
    assert (agrees.status, "the database's" in agrees.message) == ("ok", True)
    now = time.time()
    monkeypatch.setattr(surroundings.time, "time", lambda: now + 60)
    (differs,) = surroundings.clock(Path("nowhere"), postgres_url)
    assert differs.status == "failed"


def test_a_port_that_is_taken(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("MERSALG_PORT", str(taken.getsockname()[1]))
        assert statuses(place, "port")[0][0] == "warning"
    assert statuses(place, "port")[0][0] == "ok"


def test_a_running_service_is_asked(place: Path) -> None:
    with running_server(place, models=place / "empty") as server:
        ((status, said),) = statuses(place, "service", "--url", server.url)
        assert status == "failed"
        assert "no model was published yet" in said
        publish_model(place / "empty")
        eventually(lambda: statuses(place, "service", "--url", server.url)[0][0] == "ok")
        assert statuses(place, "port", "--url", server.url) == []
    ((status, said),) = statuses(place, "service", "--url", server.url)
    assert status == "failed"
    assert "does not answer" in said
    assert statuses(place, "service", "--url", "ftp://x")[0][0] == "failed"
