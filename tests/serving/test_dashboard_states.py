"""The dashboard in the process of the test: marks of what occurred, and numbers still counted."""

from __future__ import annotations

import asyncio
import re
from html import unescape
from pathlib import Path

import httpx
import pytest

from mersalg.engine import clock
from mersalg.engine.storage.audit import AuditEntry
from mersalg.engine.storage.store import open_store
from mersalg.serving.app import create_app
from mersalg.serving.dashboard import pages
from mersalg.serving.settings import load_settings
from tests.serving.test_dashboard import sell
from tests.support.models import tiny_model
from tests.support.servers import publish_model


def page_of(folder: Path, path: str, language: str = "en") -> httpx.Response:
    settings = load_settings(
        {}, database=f"sqlite:///{folder / 'facts.db'}", models=folder / "models"
    )

    async def ask() -> httpx.Response:
        app = create_app(settings)
        transport = httpx.ASGITransport(app)
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://localhost") as client,
        ):
            return await client.get(path, params={"lang": language})

    return asyncio.run(ask())


@pytest.fixture
def selling(tmp_path: Path) -> Path:
    publish_model(tmp_path / "models", tiny_model(holdout=0.0))
    store = open_store(f"sqlite:///{tmp_path / 'facts.db'}")
    store.migrate()
    for action, outcome in (
        ("publish", "done"),
        ("publish", "failed: model"),
        ("roll back", "done"),
        ("export customer", "done"),
    ):
        day_before = clock.now() - clock.MICROS_PER_DAY * 3 // 2
        store.audit.add(AuditEntry(day_before, "key:<1>", action, "v2", outcome))
    store.close()
    sell(f"sqlite:///{tmp_path / 'facts.db'}")
    return tmp_path


def test_the_chart_marks_what_administrators_did(
    selling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_REPORT_SECONDS", 60.0)
    response = page_of(selling, "/dashboard")
    marks = re.findall(
        r'<li><b>(.)</b><span><span class="quiet">.*?</span> (.*?)</span>', response.text
    )
    assert [(letter, unescape(text)) for letter, text in marks] == [
        ("A", "Model v2 published by key:<1>"),
        ("B", "Back to model v2, by key:<1>"),
    ]
    assert response.text.count('class="flag-text"') == 2


@pytest.mark.parametrize("path", ["/dashboard", "/dashboard/funnel"])
def test_a_page_whose_numbers_are_still_counted_says_so(
    path: str, selling: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "_REPORT_SECONDS", 0.0)
    response = page_of(selling, path, "nb")
    assert response.status_code == 200
    assert "Teller opp tallene" in response.text
    assert '<meta http-equiv="refresh"' in response.text
