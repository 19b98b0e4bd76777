"""From the JSON of a fact to its row, and from a decision to its digest and body, old against new.

    python -m tests.benchmarks.facts WORKTREE

WORKTREE is a git worktree of the commit to compare with (`git worktree add ../before HEAD~1`). Both
sides run in processes of their own, by turns; the best round of each counts, in microseconds of
processor time. A commit from before the one schema of facts has two ways from an event to a row:
the general one, and a short one for usual events; both are printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

ROUNDS, REPEATS, CALLS = 3, 15, 1_000
_SECRET = b"a secret of thirty-two bytes, so"
_WHO = {"checkout_id": "ch_81", "session_id": "s_3", "customer_id": "c_9"}
_WHEN = "2026-03-02T10:00:05+01:00"
VIEW = {
    "type": "view_promotion",
    "event_id": "e_1",
    "occurred_at": _WHEN,
    "offer_id": "of_1",
} | _WHO
PURCHASE = {
    "type": "purchase",
    "event_id": "e_2",
    "occurred_at": _WHEN,
    "transaction_id": "t_1",
    "currency": "NOK",
    "items": [
        {"item_id": "phone-64", "quantity": 1, "price": "5990.00"},
        {"item_id": "case-1", "quantity": 1, "price": "199.00", "offer_id": "of_1"},
        {"item_id": "cable", "quantity": 2, "price": "79.00", "discount": "10.00"},
    ],
} | _WHO
_EVIDENCE = {
    "antecedent_item_ids": ["i-1"],
    "n_joint": 412,
    "n_antecedent": 1310,
    "confidence": 0.315,
    "lift": 6.2,
    "lift_lower": 5.6,
}
DECISION = {
    "type": "decision",
    "decision_id": "dec_1",
    "occurred_at": _WHEN,
    "arm": "treatment",
    "model_version": "20260302T091500Z-3f9a1c2b",
    "currency": "NOK",
    "control_share": 0.1,
    "limits": {"cross_sell": 3, "upsell": 1},
    "lines": [
        {"item_id": f"i-{line}", "quantity": 1, "unit_price": f"{line + 1}90.00"}
        for line in range(10)
    ],
    "offers": [
        {
            "offer_id": f"of_{place}",
            "kind": "cross_sell",
            "item_id": f"c-{place}",
            "name": "Case for a phone",
            "position": place,
            "unit_price": "199.00",
            "score": 0.31,
            "text": "Bought together with Phone 64 GB in 3 of 10 orders",
            "evidence": _EVIDENCE,
        }
        for place in (1, 2, 3)
    ]
    + [
        {
            "offer_id": "of_4",
            "kind": "upsell",
            "item_id": "phone-256",
            "name": "Phone 256 GB",
            "unit_price": "6990.00",
            "score": 0.12,
            "text": "4x the storage for 1000 NOK more",
            "replaces": {"item_id": "i-1", "quantity": 1, "price_difference": "1000.00"},
            "gains": [{"attribute": "storage_gb", "from": "64", "to": "256"}],
            "losses": [],
            "step": "tier",
            "total_difference": "1000.00",
        }
    ],
} | _WHO


def _best(call: Callable[[], object]) -> float:
    """Return the microseconds of processor time of a call, of the best round."""
    found: list[float] = []
    for _ in range(REPEATS):
        began = time.process_time()
        for _ in range(CALLS):
            call()
        found.append((time.process_time() - began) / CALLS * 1e6)
    return min(found)


def _calls() -> dict[str, Callable[[], object]]:
    """Return what is measured, by the modules that are on the path of this process."""
    from mersalg.engine.storage.pseudonyms import Pseudonyms

    names = Pseudonyms(_SECRET)
    view, purchase = orjson.dumps(VIEW), orjson.dumps(PURCHASE)
    modules: dict[str, Any] = {}
    try:
        from mersalg.engine import fact_json
        from mersalg.engine.fact_bodies import digest_and_pack
        from mersalg.engine.storage.fact_rows import row_of
    except ImportError:
        exec(_BEFORE, modules)
        decision = modules["from_record"](DECISION)
        return {
            "view event -> row": lambda: modules["general"](view, names),
            "view event -> row, short way": lambda: modules["short"](view, names),
            "purchase of 3 items -> row": lambda: modules["general"](purchase, names),
            "purchase of 3 items -> row, short way": lambda: modules["short"](purchase, names),
            "decision -> digest and body": lambda: modules["digest_and_pack"](decision),
        }
    fact = fact_json.parse_fact(DECISION)
    return {
        "view event -> row": lambda: row_of(fact_json.unpack(view), names),
        "purchase of 3 items -> row": lambda: row_of(fact_json.unpack(purchase), names),
        "decision -> digest and body": lambda: digest_and_pack(fact),
    }


_BEFORE = """
import orjson
from mersalg.engine.fact_records import digest_and_pack, from_record
from mersalg.engine.storage.batch import prepare
from mersalg.engine.storage.ordinary import ordinary_event

def general(raw, names):
    return prepare(from_record(orjson.loads(raw)), names)

def short(raw, names):
    return ordinary_event(orjson.loads(raw), names)
"""


def _side(root: Path) -> dict[str, float]:
    command = [sys.executable, str(Path(__file__).resolve()), "--side"]
    environment = {**os.environ, "PYTHONPATH": str(root / "build" / "view")}
    done = subprocess.run(
        command, cwd=root, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return json.loads(done.stdout)


def main() -> None:
    if sys.argv[1:] == ["--side"]:
        print(json.dumps({name: _best(call) for name, call in _calls().items()}))
        return
    before_root, after_root = Path(sys.argv[1]).resolve(), Path(__file__).parents[2]
    before: dict[str, float] = {}
    after: dict[str, float] = {}
    for _ in range(ROUNDS):
        for root, best in ((before_root, before), (after_root, after)):
            for name, micros in _side(root).items():
                best[name] = min(micros, best.get(name, micros))
    for name, micros in before.items():
        now = after[name.partition(",")[0]]
        print(f"{name:40} {micros:7.1f} us before, {now:6.1f} us now: {micros / now:5.2f}x")


if __name__ == "__main__":
    main()
