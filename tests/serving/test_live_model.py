"""The model being served: taken when it is good, left when it is not."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mersalg.engine.errors import ModelCorrupt
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.serving.live_model import LiveModel, check_answers
from mersalg.serving.metrics import Metrics
from tests.support.models import tiny_model
from tests.support.servers import publish_model
from tests.support.waiting import eventually_async


def live_on(models: Path) -> tuple[LiveModel, list[str]]:
    taken: list[str] = []
    live = LiveModel(Registry(models), Metrics(), loaded=lambda model: taken.append(model.version))
    return live, taken


def test_nothing_published_is_reported_and_no_failure(tmp_path: Path) -> None:
    live, taken = live_on(tmp_path / "models")
    asyncio.run(live.reload())
    assert live.model is None
    assert live.status.version is None
    assert live.status.problem
    assert taken == []


def test_a_published_model_is_taken_once(tmp_path: Path) -> None:
    version = publish_model(tmp_path)
    live, taken = live_on(tmp_path)

    async def twice() -> Model | None:
        await live.reload()
        first = live.model
        await live.reload()
        assert live.model is first  # the same arrays, not a second copy
        return first

    model = asyncio.run(twice())
    assert model is not None
    assert model.version == version
    assert taken == [version]
    assert (live.status.version, live.status.problem) == (version, None)


def test_a_damaged_version_leaves_the_old_one(tmp_path: Path) -> None:
    version = publish_model(tmp_path)
    live, taken = live_on(tmp_path)

    async def run() -> None:
        await live.reload()
        second = publish_model(tmp_path)
        for file in (tmp_path / second).glob("*.npy"):
            file.unlink()
        await live.reload()

    asyncio.run(run())
    assert live.model is not None
    assert live.model.version == version
    assert live.status.version == version
    assert live.status.problem
    assert taken == [version]


def test_a_garbled_pointer_leaves_the_old_one(tmp_path: Path) -> None:
    version = publish_model(tmp_path)
    live, _ = live_on(tmp_path)

    async def run() -> None:
        await live.reload()
        (tmp_path / "current.json").write_text("{")
        await live.reload()

    asyncio.run(run())
    assert live.status.version == version
    assert "current.json" in str(live.status.problem)


def test_the_watcher_notices_a_new_version(tmp_path: Path) -> None:
    live, taken = live_on(tmp_path)

    async def run() -> str:
        watching = asyncio.create_task(live.watch(0.01))
        await asyncio.sleep(0.03)  # for it to look at a folder without versions first
        version = publish_model(tmp_path)
        await eventually_async(lambda: taken)  # told last, when it is served already
        watching.cancel()
        assert live.status.version == version
        return version

    assert taken == [asyncio.run(run())]


def test_a_model_that_cannot_answer_fails_its_check() -> None:
    model = tiny_model()
    rules = replace(model.rules, consequent=np.full(len(model.rules), 99, dtype=np.int32))
    with pytest.raises(ModelCorrupt, match="tiny-1"):
        check_answers(replace(model, rules=rules))
    check_answers(model)
