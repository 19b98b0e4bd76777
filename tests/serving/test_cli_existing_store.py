"""Commands that read an older database change nothing in it and say what to run."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import create_engine
from typer.testing import CliRunner

from mersalg.engine.errors import StorageUnavailable
from mersalg.engine.storage.store import SCHEMA_VERSION, open_store
from mersalg.serving.cli import main
from tests.engine.storage.test_migrations import go_back, schema_of

READERS = {
    "report": ["report"],
    "report anew": ["report", "--rebuild"],
    "power": ["power"],
    "guardrail": ["guardrail", "status"],
    "pause": ["guardrail", "pause"],
    "audit": ["audit"],
    "retention": ["retention", "--dry-run"],
    "export": ["events", "export"],
    "customer": ["customers", "export", "kari"],
}


@pytest.fixture(scope="module")
def older(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("older") / "facts.db"
    store = open_store(str(path), secret=b"k" * 32)
    store.migrate()
    store.close()
    engine = create_engine(f"sqlite:///{path}")
    go_back(engine)
    engine.dispose()
    return path


@pytest.mark.parametrize("arguments", READERS.values(), ids=READERS.keys())
def test_readers_never_change_a_schema(older: Path, arguments: list[str]) -> None:
    engine = create_engine(f"sqlite:///{older}")
    before = schema_of(engine)
    assert before is not None
    assert before < SCHEMA_VERSION
    done = CliRunner().invoke(main.app, [*arguments, "--database", str(older)])
    assert isinstance(done.exception, StorageUnavailable)
    assert "run `mersalg migrate`" in done.exception.message
    assert f"schema {before}" in done.exception.message
    assert done.stdout == ""
    assert schema_of(engine) == before
    engine.dispose()


def test_the_command_ends_as_for_bad_input(
    older: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["mersalg", "report", "--database", str(older)])
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 2
    assert "mersalg migrate" in capsys.readouterr().err
