"""Files of facts to be imported, and importing them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path

import orjson
import pytest

from mersalg.engine.progress import SilentProgress
from mersalg.engine.storage.fact_import import ImportResult, Source, import_facts
from mersalg.engine.storage.fact_rows import AppendResult, FactRow
from mersalg.engine.storage.facts import Facts
from mersalg.engine.storage.store import Store
from mersalg.engine.storage.writer import NoteOf

SECRET = b"a secret of the tests, long enough"


def a_file(folder: Path, visits: int = 40) -> Path:
    lines: list[object] = []
    for number in range(visits):
        when = f"2026-01-{number % 28 + 1:02d}T10:00:00+00:00"
        offer = {"offer_id": f"o{number}", "kind": "cross_sell", "item_id": "mug"}
        lines += [
            {
                "type": "decision",
                "event_id": f"d{number}",
                "decision_id": f"d{number}",
                "occurred_at": when,
                "checkout_id": f"k{number}",
                "customer_id": f"c{number % 7}",
                "arm": "treatment",
                "offers": [offer],
            },
            {
                "type": "view_promotion",
                "event_id": f"v{number}",
                "occurred_at": when,
                "offer_id": f"o{number}",
            },
        ]
    # A copy, a conflict and two lines that are no facts.
    lines += [lines[0], {**lines[3], "offer_id": "o7"}, {"type": "view_promotion"}]  # type: ignore[dict-item]
    path = folder / "facts.jsonl"
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines) + b"no json\n")
    return path


def clean_file(folder: Path, visits: int = 40) -> Path:
    """All new."""
    path = a_file(folder, visits)
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[: 2 * visits]))
    return path


def run(store: Store, path: Path) -> ImportResult:
    with path.open("rb") as file:
        return import_facts(store, Source.of(file, path), rejects_of(path), SilentProgress())


def before_the_third_write(monkeypatch: pytest.MonkeyPatch, happens: Callable[[], None]) -> None:
    """Of the pieces of a file, whichever run they belong to."""
    plain, writes = Facts.append_rows, count(1)

    def write(self: Facts, facts: Sequence[FactRow], note: NoteOf | None = None) -> AppendResult:
        if next(writes) == 3:
            happens()
        return plain(self, facts, note)

    monkeypatch.setattr(Facts, "append_rows", write)


def killed() -> None:
    """What happens to who is killed, as far as that can be made up."""
    raise KeyboardInterrupt


def rejects_of(path: Path) -> Path:
    return path.with_name("rejected.jsonl")


def reported(result: ImportResult) -> tuple[int, int, int]:
    return result.recorded, result.duplicates, result.rejected


RECORDS: list[dict[str, object]] = [
    *(
        {
            "type": "decision",
            "event_id": f"d{number}",
            "decision_id": f"d{number}",
            "occurred_at": f"2026-02-0{number + 1}T10:00:00+00:00",
            "checkout_id": f"k{number}",
            "arm": "control",
            "offers": [
                {"offer_id": f"o{number}{place}", "kind": "cross_sell", "item_id": "mug"}
                for place in range(number)
            ],
        }
        for number in range(3)
    ),
    *(
        {
            "type": "purchase",
            "event_id": f"p{number}",
            "occurred_at": "2026-02-03T11:00:00+00:00",
            "checkout_id": f"k{number}",
            "transaction_id": f"t{number}",
            "currency": "NOK",
            "items": [{"item_id": "mug", "price": "49.00", "offer_id": f"o{number}0"}],
        }
        for number in range(3)
    ),
]
