"""The application as a whole: what it sets for its process holds only while it runs."""

from __future__ import annotations

import asyncio
import gc
from pathlib import Path

from mersalg.serving.app import create_app
from mersalg.serving.settings import ServeSettings


def test_the_collector_looks_seldom_only_while_the_application_runs(tmp_path: Path) -> None:
    before = gc.get_threshold()
    settings = ServeSettings(models=tmp_path, database=f"sqlite:///{tmp_path / 'facts.db'}")
    app = create_app(settings)

    async def run() -> None:
        async with app.router.lifespan_context(app):
            assert gc.get_threshold() == (10_000, *before[1:])
            assert gc.get_freeze_count() > 0

    asyncio.run(run())
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
