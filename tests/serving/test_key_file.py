"""`mersalg keys`, the file behind it, and a running service that follows the file."""

from __future__ import annotations

import json
import os
import signal
import stat
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from mersalg.engine.errors import ConfigError
from mersalg.serving.keys import (
    KeyRing,
    KeyWatch,
    create_key,
    digest_of,
    list_keys,
    load_keys,
    revoke_key,
)
from tests.support.commands import attempt, run
from tests.support.processes import children_of
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import eventually


def scopes_of(ring: KeyRing, key: str) -> set[str]:
    return {each.scope for each in ring.keys if each.digest == digest_of(key)}


def test_a_key_is_shown_once_and_kept_as_a_hash(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    made = json.loads(run("keys", "create", "server", "--file", file, "--name", "till 1", "--json"))
    assert made["key"] not in file.read_text()
    assert file.stat().st_mode & 0o777 == 0o600
    assert scopes_of(load_keys({"MERSALG_KEYS_FILE": str(file)}), made["key"]) == {"server"}
    listed = json.loads(run("keys", "list", "--file", file, "--json"))["keys"]
    assert [(each["id"], each["scope"], each["name"]) for each in listed] == [
        (made["id"], "server", "till 1")
    ]
    assert made["key"] not in run("keys", "list", "--file", file)


def test_only_the_key_is_on_standard_output(tmp_path: Path) -> None:
    result = attempt("keys", "create", "report", "--file", tmp_path / "keys")
    key = result.stdout.strip()
    assert len(key) > 40
    assert key not in result.stderr
    ring = load_keys({"MERSALG_KEYS_FILE": str(tmp_path / "keys")})
    assert scopes_of(ring, key) == {"report"}


def test_several_keys_of_a_scope_count_until_one_is_revoked(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("# by hand\nadmin:an-old-admin-key-of-ours\n")
    first, old = create_key(file, "storefront", "old")
    _, new = create_key(file, "storefront", "new")
    assert revoke_key(file, first.id).name == "old"
    ring = load_keys({"MERSALG_KEYS_FILE": str(file)})
    assert scopes_of(ring, old) == frozenset()
    assert scopes_of(ring, new) == {"storefront"}
    assert scopes_of(ring, "an-old-admin-key-of-ours") == {"admin"}
    assert file.read_text().startswith("# by hand\n")
    assert [key.name for key in list_keys(file)] == [None, "new"]


def test_an_id_that_is_not_one_key_revokes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    ids = [create_key(file, "server", f"n{number}")[0].id for number in range(40)]
    before = file.read_text()
    # Of forty ids in hexadecimal two begin alike.
    shared = next(first for first, n in Counter(each[0] for each in ids).items() if n > 1)
    for key_id in ("", "zzz", shared):
        with pytest.raises(ConfigError, match="has the id"):
            revoke_key(file, key_id)
    assert file.read_text() == before


def test_what_does_not_fit_is_refused(tmp_path: Path) -> None:
    for scope, name in (("root", ""), ("admin", "two\nlines"), ("admin", "x" * 101)):
        with pytest.raises(ConfigError):
            create_key(tmp_path / "keys", scope, name)
    assert not (tmp_path / "keys").exists()


def test_keys_made_at_once_are_all_kept(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    with ThreadPoolExecutor(8) as threads:
        made = list(threads.map(lambda n: create_key(file, "server", f"n{n}")[0].id, range(40)))
    assert sorted(key.id for key in list_keys(file)) == sorted(made)


def test_who_could_read_the_keys_still_can(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    made, _ = create_key(file, "server", "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    group = 12_345 if os.geteuid() == 0 else os.getegid()
    os.chown(file, -1, group)
    file.chmod(0o640)
    create_key(file, "report", "")
    revoke_key(file, made.id)
    assert (file.stat().st_gid, stat.S_IMODE(file.stat().st_mode)) == (group, 0o640)


def test_a_broken_or_missing_file_changes_nothing_and_an_empty_one_opens_nothing(
    tmp_path: Path,
) -> None:
    file = tmp_path / "keys"
    _, key = create_key(file, "server", "")
    environment = {"MERSALG_KEYS_FILE": str(file), "MERSALG_KEYS": "admin:the-other-admin-key"}
    watch = KeyWatch(environment, load_keys(environment))
    assert not watch.look()
    for broken in ("nonsense", "server:sha256=12"):
        file.write_text(broken)
        assert not watch.look()
        assert scopes_of(watch.ring, key) == {"server"}
    file.unlink()
    assert not watch.look()
    assert scopes_of(watch.ring, key) == {"server"}
    file.write_text("# nobody any more\n")
    assert watch.look()
    assert scopes_of(watch.ring, key) == frozenset()
    assert scopes_of(watch.ring, "the-other-admin-key") == {"admin"}
    alone = KeyWatch({"MERSALG_KEYS_FILE": str(file)}, load_keys({"MERSALG_KEYS": "admin:one"}))
    os.utime(file, (1, 1))
    assert alone.look()
    assert alone.ring, "a ring without keys still asks for one"


def test_a_worker_that_takes_the_place_of_another_knows_what_was_revoked(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    revoked, old = create_key(file, "report", "")
    _, kept = create_key(file, "report", "")
    publish_model(tmp_path / "models")

    def status(key: str) -> int:
        with server.client(key=key) as client:
            return client.get("/v1/reports/rates").status_code

    # Never looked at again: what the successor knows, it knows from its start.
    environment = {"MERSALG_KEYS_FILE": str(file), "MERSALG_KEYS_POLL_SECONDS": "3600"}
    with running_server(tmp_path, environment=environment) as server:
        assert (status(old), status(kept)) == (200, 200)
        revoke_key(file, revoked.id)
        (worker,) = children_of(server.process.pid)
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: worker not in children_of(server.process.pid) and is_up(server))
        assert (status(old), status(kept)) == (401, 200)


def is_up(server: Server) -> bool:
    try:
        with server.client() as client:
            return client.get("/healthz").is_success
    except httpx.TransportError:
        return False


def test_a_running_service_takes_new_keys_and_refuses_revoked_ones(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    first, old = create_key(file, "storefront", "old")
    _, report = create_key(file, "report", "")
    publish_model(tmp_path / "models")
    environment = {"MERSALG_KEYS_FILE": str(file), "MERSALG_KEYS_POLL_SECONDS": "0.1"}
    cart = {"checkout_id": "k", "lines": []}

    def answers(key: str) -> int:
        with server.client(key=key) as client:
            return client.post("/v1/suggestions", json=cart).status_code

    def becomes(key: str, status: int) -> None:
        eventually(lambda: answers(key) == status)

    with running_server(tmp_path, environment=environment) as server:
        assert (answers(old), answers(report), answers("unknown")) == (200, 403, 401)
        _, new = create_key(file, "storefront", "new")
        becomes(new, 200)
        assert answers(old) == 200
        revoke_key(file, first.id)
        becomes(old, 401)
        assert answers(new) == 200
        for listed in list_keys(file):
            revoke_key(file, listed.id)
        becomes(new, 401)
        with server.client(key=report) as client:
            assert client.get("/v1/reports/rates").status_code == 401
        assert old not in server.said
