"""Publishing and rolling back while buyers ask; versions that are refused; workers that follow."""

from __future__ import annotations

import asyncio
import json
import shutil
import threading
from collections.abc import Callable
from itertools import groupby
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.durable import sha256_of
from mersalg.engine.registry import Registry
from mersalg.serving.live_model import LiveModel
from mersalg.serving.metrics import Metrics
from tests.benchmarks.slate import large_model
from tests.support.models import PHONE_SHOP_ITEMS, TinyItem, tiny_model
from tests.support.servers import Server, publish_model, running_server
from tests.support.waiting import WAIT_SECONDS, eventually

N_SWAPS = 6
CART = {"checkout_id": "x", "lines": [{"item_id": "phone-64"}]}


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Registry:
    """Two versions of 100,000 items and 1 million rules, the first of them published."""
    registry = Registry(tmp_path_factory.mktemp("large") / "models")
    model = large_model()
    first, _ = registry.write(model, {}), registry.write(model, {})
    registry.publish(first)
    return registry


def versions(registry: Registry) -> tuple[str, str]:
    """The published one and the other."""
    names = [manifest.version for manifest in registry.versions()]
    published = registry.current()
    assert published is not None
    return published, next(name for name in names if name != published)


def test_the_event_loop_goes_on_while_a_version_is_loaded(large: Registry) -> None:
    async def run() -> int:
        live = LiveModel(large, Metrics(), loaded=lambda _model: None)
        loading = asyncio.create_task(live.reload())
        n_turns = 0
        while not loading.done():
            await asyncio.sleep(0.001)
            n_turns += 1
        await loading
        live.close()
        return n_turns

    assert asyncio.run(run()) > 20


class Buyers:
    """One asks after the other, each at once after the one before."""

    def __init__(self, server: Server) -> None:
        self.answers: list[tuple[int, str]] = []
        """Status and model version of each."""
        self._server = server
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self._thread.start()

    def _ask(self) -> None:
        draw = np.random.default_rng(1)
        with self._server.client() as client:
            for number in range(100_000):
                if self._over.is_set():
                    return
                lines = [{"item_id": f"sku-{item}"} for item in draw.integers(0, 3000, 5)]
                cart = {"checkout_id": f"ch-{number}", "session_id": f"s-{number}", "lines": lines}
                response = client.post("/v1/suggestions", json=cart)
                version = response.json().get("model_version", "")
                self.answers.append((response.status_code, version))

    def stop(self) -> None:
        self._over.set()
        self._thread.join(WAIT_SECONDS)


def test_swaps_under_load_fail_nobody(large: Registry, tmp_path: Path) -> None:
    with running_server(tmp_path, models=large.root) as server, server.client() as client:
        buyers = Buyers(server)
        try:
            eventually(lambda: len(buyers.answers) > 50)
            for number in range(N_SWAPS):
                before = len(buyers.answers)
                _, other = versions(large)
                if number % 2:
                    response = client.post("/v1/models/rollback")
                else:
                    response = client.post(f"/v1/models/{other}/publish")
                assert response.status_code == 200, response.text
                eventually(lambda other=other: buyers.answers[-1] == (200, other))
                assert len(buyers.answers) > before
        finally:
            buyers.stop()
    assert {status for status, _ in buyers.answers} == {200}
    served = [version for version, _ in groupby(version for _, version in buyers.answers)]
    # In turns, and never back to an earlier version between two swaps.
    assert len(served) == N_SWAPS + 1
    assert set(served) == set(versions(large))


def test_all_workers_follow_however_a_version_is_published(large: Registry, tmp_path: Path) -> None:
    with (
        running_server(tmp_path, models=large.root, workers=2) as server,
        server.client() as client,
    ):

        def serving(version: str) -> int:
            """How many workers said that they serve it since the log was read last."""
            said = server.said[read:]
            return sum(f"serving model {version}" in line for line in said.splitlines())

        eventually(lambda: server.said.count("serving model") >= 2)
        for step in ("publish", "rollback", "by hand"):
            _, other = versions(large)
            read = len(server.said)
            if step == "publish":
                assert client.post(f"/v1/models/{other}/publish").status_code == 200
            elif step == "rollback":
                assert client.post("/v1/models/rollback").status_code == 200
            else:
                large.publish(other)
            eventually(lambda other=other: serving(other) == 2)


def _truncate(folder: Path) -> None:
    file = folder / "rules.consequent.npy"
    file.write_bytes(file.read_bytes()[:-7])


def _tamper(folder: Path) -> None:
    file = folder / "rules.consequent.npy"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)


def _lose(folder: Path) -> None:
    (folder / "affinity.repelled.values.npy").unlink()


def _edit_manifest(folder: Path, **fields: object) -> None:
    path = folder / "manifest.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **fields}))


def _newer(folder: Path) -> None:
    _edit_manifest(folder, schema_version=99)


def _garble(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def _contradict(folder: Path) -> None:
    """Forged as a whole, hash and all: only what the arrays say gives it away."""
    file = folder / "rules.consequent.npy"
    np.save(file, np.load(file) + np.int32(99))
    _name_again(folder, file)


def _name_again(folder: Path, file: Path) -> None:
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["files"][file.name] = {"sha256": sha256_of(file), "size": file.stat().st_size}
    _edit_manifest(folder, files=manifest["files"])


def _unknown_type(folder: Path) -> None:
    """Written by a library with types that the release of today does not know."""
    file = folder / "ladders.tier.npy"
    file.write_bytes(file.read_bytes().replace(b"<i2", b"<i9"))
    _name_again(folder, file)


REFUSED: dict[str, tuple[Callable[[Path], None], str, str]] = {
    "truncated": (_truncate, "model_corrupt", "bytes, not"),
    "tampered": (_tamper, "model_corrupt", "sha256"),
    "incomplete": (_lose, "model_corrupt", "cannot read affinity.repelled.values.npy"),
    "newer": (_newer, "model_incompatible", "reads up to 2: update Mersalg"),
    "garbled": (_garble, "model_corrupt", "manifest.json is unusable"),
    "contradictory": (_contradict, "model_corrupt", "points outside"),
    "of another library": (_unknown_type, "model_corrupt", "cannot read ladders.tier.npy"),
}


def test_versions_that_cannot_serve_are_refused_and_the_old_one_stays(tmp_path: Path) -> None:
    """Whether they are published, or the pointer is moved behind the service's back."""
    models = tmp_path / "models"
    registry = Registry(models)
    good = publish_model(models)
    with running_server(tmp_path) as server, server.client() as client:
        for number, (name, (spoil, code, reason)) in enumerate(REFUSED.items(), start=1):
            bad = registry.write(tiny_model(), {})
            spoil(models / bad)
            pointer = (models / "current.json").read_text()
            for response in (
                client.post(f"/v1/models/{bad}/publish"),
                client.post("/v1/models", json={"version": bad}),
            ):
                assert response.status_code == 409, (name, response.text)
                assert response.json()["error"]["code"] == code, name
                assert reason in response.json()["error"]["message"], name
                assert bad in response.json()["error"]["message"], name
            assert (models / "current.json").read_text() == pointer
            moved = models / "moved.json"
            moved.write_text(json.dumps({"version": bad, "history": [good]}))
            moved.replace(models / "current.json")
            eventually(lambda reason=reason: reason in str(_ready(server)["model_problem"]))
            assert _ready(server)["status"] == "degraded"
            assert _ready(server)["model_version"] == good
            answer = client.post("/v1/suggestions", json=CART).json()
            assert answer["model_version"] == good
            assert answer["offers"]
            metrics = client.get("/metrics").text
            assert f"mersalg_model_load_failures_total {number}.0" in metrics
            assert "mersalg_model_problem 1.0" in metrics
            assert reason in str(client.get("/v1/models").json()["problem"])
            rolled_back = client.post("/v1/models/rollback").json()
            assert rolled_back == {"published": good, "serving": good}
            assert _ready(server)["status"] == "ready"
            assert "mersalg_model_problem 0.0" in client.get("/metrics").text
        # Nor is one gone back to that was spoilt since.
        second = publish_model(models)
        eventually(lambda: _ready(server)["model_version"] == second)
        _tamper(models / good)
        refused = client.post("/v1/models/rollback")
        assert (refused.status_code, refused.json()["error"]["code"]) == (409, "model_corrupt")
        assert registry.current() == second


def _ready(server: Server) -> dict[str, object]:
    with server.client() as client:
        state: dict[str, object] = client.get("/readyz").json()
        return state


@pytest.mark.parametrize("spoil", ["tampered", "of another library"])
def test_a_service_that_starts_on_a_spoilt_version_serves_the_one_before(
    tmp_path: Path, spoil: str
) -> None:
    models = tmp_path / "models"
    gone, good, bad = (publish_model(models) for _ in range(3))
    shutil.rmtree(models / gone)
    damage, _, reason = REFUSED[spoil]
    damage(models / bad)
    with running_server(tmp_path) as server:
        state = _ready(server)
        assert (state["status"], state["model_version"]) == ("degraded", good)
        assert reason in str(state["model_problem"])
        newest = publish_model(models)
        eventually(lambda: _ready(server)["model_version"] == newest)
        assert _ready(server)["status"] == "ready"


def test_a_service_without_any_version_that_can_be_read_starts_and_offers_nothing(
    tmp_path: Path,
) -> None:
    models = tmp_path / "models"
    _unknown_type(models / publish_model(models))
    with running_server(tmp_path) as server, server.client() as client:
        refused = client.get("/readyz")
        assert refused.status_code == 503
        assert "cannot read ladders.tier.npy" in refused.json()["error"]["message"]
        assert client.post("/v1/suggestions", json=CART).json()["offers"] == []


def _overwrite(folder: Path) -> None:
    """Write over every file of a version, in place, as a failing disk or a copy does."""
    for path in folder.glob("*.npy"):
        with path.open("r+b") as file:
            file.write(b"\xff" * path.stat().st_size)


def test_files_that_are_damaged_in_place_are_noticed_once(tmp_path: Path) -> None:
    models = tmp_path / "models"
    # Small arrays are read and not mapped: nothing happens to them afterwards.
    others = [TinyItem(f"other-{n}", f"Other {n}", "9.00") for n in range(9_000)]
    model = tiny_model(items=(*PHONE_SHOP_ITEMS, *others))
    good, bad = publish_model(models, model), publish_model(models, model)
    whole = tmp_path / "whole"
    shutil.copytree(models / bad, whole)
    with running_server(tmp_path) as server, server.client() as client:
        _overwrite(models / bad)

        def answer() -> dict[str, object]:
            response = client.post("/v1/suggestions", json=CART)
            assert response.status_code == 200
            answered: dict[str, object] = response.json()
            return answered

        assert eventually(lambda: answer()["model_version"] == good)
        for _ in range(20):
            assert answer()["offers"]
        state = _ready(server)
        assert (state["status"], state["model_version"]) == ("degraded", good)
        assert "sha256" in str(state["model_problem"])
        assert server.said.count("(sha256); serving") == 1
        assert 1 <= server.said.count("Traceback") <= 3, "one for each place that raised"
        # Once its files are whole again, publishing the version is enough.
        shutil.copytree(whole, models / bad, dirs_exist_ok=True)
        Registry(models).publish(bad)
        eventually(lambda: _ready(server)["status"] == "ready")
        assert _ready(server)["model_version"] == bad


def test_a_folder_that_cannot_be_written_to_is_said(tmp_path: Path) -> None:
    models = tmp_path / "models"
    first, second = publish_model(models), publish_model(models)
    (models / ".lock").unlink()
    (models / ".lock").mkdir()  # No user, not even root, opens a folder as a file.
    with running_server(tmp_path) as server, server.client() as client:
        for response in (
            client.post(f"/v1/models/{first}/publish"),
            client.post("/v1/models/rollback"),
        ):
            assert response.status_code == 409
            assert "cannot write to the folder of models" in response.json()["error"]["message"]
        assert _ready(server)["model_version"] == second
