from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import typer
from click.testing import Result
from msgspec import convert
from typer.testing import CliRunner

from mersalg.engine.errors import DataError, ModelNotFound
from mersalg.engine.registry import Registry
from mersalg.serving.answers import answer_json, display_of, unknown_item_ids
from mersalg.serving.checkout import decide
from mersalg.serving.cli import suggest
from mersalg.serving.schemas import SuggestionRequest
from tests.support.models import tiny_model

ROOT = Path(__file__).parents[2]
app = typer.Typer()
app.command()(suggest.command)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    registry = Registry(folder)
    registry.publish(registry.write(tiny_model(holdout=0.5), {}))
    return folder


def _run(*arguments: object, standard_input: bytes | None = None) -> Result:
    return CliRunner().invoke(
        app, [str(part) for part in arguments], input=standard_input, catch_exceptions=False
    )


def _cart(number: int, *item_ids: str) -> dict[str, Any]:
    lines = [{"item_id": item_id, "quantity": 1} for item_id in item_ids]
    return {"checkout_id": f"k{number}", "session_id": f"s{number}", "lines": lines}


def _write(path: Path, lines: list[Any]) -> Path:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n", encoding="utf-8")
    return path


def _read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _without_ids(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_ids(part) for key, part in value.items() if key[-3:] != "_id"} | {
            key: part for key, part in value.items() if key == "item_id"
        }
    return [_without_ids(part) for part in value] if isinstance(value, list) else value


def test_one_answer_a_cart_in_the_same_order(models: Path, tmp_path: Path) -> None:
    bodies = [_cart(1, "phone-64"), _cart(2, "phone-pro"), _cart(3), _cart(4, "nobody-knows")]
    carts = _write(tmp_path / "carts.jsonl", bodies)
    out = tmp_path / "out.jsonl"
    result = _run("--models", models, "--carts", carts, "--out", out, "--no-holdout")
    assert result.exit_code == 0
    answers = _read(out)
    model = Registry(models).load()
    for body, found in zip(bodies, answers, strict=True):
        request = convert(body, SuggestionRequest)
        decision, unknown = decide(model, request, holdout=False), unknown_item_ids(model, request)
        display = display_of(model, request, decision)
        expected = json.loads(answer_json(decision, "off", display, (), unknown))
        assert _without_ids(found) == _without_ids(expected)
        assert found["tracking"] == "off"
        assert found["arm"] == "treatment"
        assert found["model_version"] == model.version
    assert [answer["offers"][0]["item_id"] for answer in answers[:2]] == ["case-1", "case-pro"]
    assert "4 of 4 carts answered" in result.stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["carts.jsonl", "out.jsonl"]


def test_the_arms_of_the_service_hold_without_the_flag(models: Path, tmp_path: Path) -> None:
    carts = _write(tmp_path / "carts.jsonl", [_cart(number, "phone-64") for number in range(60)])
    out = tmp_path / "out.jsonl"
    result = _run("--models", models, "--carts", carts, "--out", out, "--json")
    assert result.exit_code == 0
    answers, tally = _read(out), json.loads(result.stdout)
    held_out = [answer for answer in answers if answer["arm"] == "control"]
    assert 10 < len(held_out) < 50
    assert all(answer["offers"] == [] for answer in held_out)
    assert tally == {
        "model_version": Registry(models).current(),
        "arms_of_service": True,
        "carts": 60,
        "answered": 60,
        "malformed": 0,
        "control": len(held_out),
        "cross_sell": 3 * (60 - len(held_out)),
        "upsell": 60 - len(held_out),
    }


def test_malformed_lines_are_answered_in_their_place(models: Path, tmp_path: Path) -> None:
    carts = _write(
        tmp_path / "carts.jsonl",
        [
            "\ufeff" + json.dumps(_cart(1, "phone-64")),
            "{not json",
            {"lines": []},
            "",
            '{"checkout_id": "k", "lines": [{"item_id": "i", "quantity": NaN}]}',
            "[1]",
            _cart(2, "phone-64"),
            "",
            "  ",
        ],
    )
    with carts.open("ab") as file:
        file.write(b'{"checkout_id": "\xff"}\n')
    out = tmp_path / "out.jsonl"
    result = _run("--models", models, "--carts", carts, "--out", out, "--no-holdout")
    assert result.exit_code == 2
    answers = _read(out)
    assert ["error" in answer for answer in answers] == [
        *(False, True, True, True, True, True),
        *(False, True, True, True),
    ]
    for answer in answers:
        if "error" in answer:
            assert list(answer["error"]) == ["code", "message", "details"]
            assert answer["error"]["code"] == "invalid"
    assert answers[2]["error"]["message"] == "checkout_id: is required"
    assert answers[2]["error"]["details"] == [{"where": "checkout_id", "message": "is required"}]
    assert "2 of 10 carts answered" in result.stdout
    assert "8 malformed lines" in result.stderr


def test_blank_lines_at_the_end_are_no_carts(models: Path, tmp_path: Path) -> None:
    carts, out = tmp_path / "carts.jsonl", tmp_path / "out.jsonl"
    carts.write_text(json.dumps(_cart(1, "phone-64")) + "\n\n \n")
    assert _run("--models", models, "--carts", carts, "--out", out).exit_code == 0
    assert len(_read(out)) == 1
    carts.write_text("")
    assert _run("--models", models, "--carts", carts, "--out", out).exit_code == 0
    assert out.read_bytes() == b""


def test_standard_input_and_output(models: Path) -> None:
    body = json.dumps(_cart(1, "phone-64")).encode()
    result = _run("--models", models, "--no-holdout", standard_input=body)
    assert result.exit_code == 0
    assert json.loads(result.stdout)["offers"][0]["item_id"] == "case-1"
    assert "1 of 1 cart answered" in result.stderr
    result = _run("--models", models, "--carts", "-", "--out", "-", "--json", standard_input=body)
    assert json.loads(result.stdout)["tracking"] == "off"
    assert json.loads(result.stderr)["answered"] == 1


def test_no_model_and_no_file_are_clear_errors(models: Path, tmp_path: Path) -> None:
    carts = _write(tmp_path / "carts.jsonl", [_cart(1)])
    with pytest.raises(ModelNotFound):
        _run("--models", tmp_path / "none", "--carts", carts, "--out", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="cannot read: "):
        _run("--models", models, "--carts", tmp_path / "none", "--out", tmp_path / "out.jsonl")
    with pytest.raises(DataError, match="cannot write: No such"):
        _run("--models", models, "--carts", carts, "--out", tmp_path / "none" / "out.jsonl")
    with pytest.raises(DataError, match="it is a folder"):
        _run("--models", models, "--carts", carts, "--out", tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["carts.jsonl"]


def test_an_old_answer_file_stays_where_the_run_breaks(
    models: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    carts, out = _write(tmp_path / "carts.jsonl", [_cart(1), _cart(2)]), tmp_path / "out.jsonl"
    out.write_text("old")

    def interrupt(*_: object, **__: object) -> bytes:
        raise KeyboardInterrupt

    monkeypatch.setattr(suggest, "_answer", interrupt)
    assert _run("--models", models, "--carts", carts, "--out", out).exit_code != 0
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["carts.jsonl", "out.jsonl"]


def test_the_installed_command_ends_with_2_where_nothing_is_published(tmp_path: Path) -> None:
    carts = _write(tmp_path / "carts.jsonl", [_cart(1)])
    done = subprocess.run(
        [
            *(sys.executable, "-m", "mersalg.serving.cli.main", "suggest"),
            *("--models", tmp_path, "--carts", carts),
        ],
        cwd=ROOT,
        env={**os.environ, "NO_COLOR": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert "model_not_found" in done.stderr
