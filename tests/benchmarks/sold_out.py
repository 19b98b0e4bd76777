"""Suggestions of four workers while items sell out: none shows what did a second before.

    python -m tests.benchmarks.sold_out [SUGGESTIONS] [MINUTES] [DATABASE URL]

Two items sell out in turn. Only answers are counted that were asked for, and came, while one had
been sold out for a second. Ends with 1 where an answer shows it, or too few came in time.
"""

from __future__ import annotations

import multiprocessing
import sys
import tempfile
import time
from multiprocessing.sharedctypes import Synchronized
from pathlib import Path

import httpx

from tests.support.models import tiny_model
from tests.support.servers import publish_model, running_server

ITEMS = ("case-1", "glass-1")
_ASKERS = 3
_CART = {
    "checkout_id": "sold-out",
    "lines": [{"item_id": "phone-64"}],
    "limits": {"cross_sell": 10, "upsell": 0},
}


def main() -> None:
    n_asked = int(sys.argv[1]) if len(sys.argv) > 1 else 100_000
    minutes = float(sys.argv[2]) if len(sys.argv) > 2 else 20.0
    database = sys.argv[3] if len(sys.argv) > 3 else None
    # The number of the turn in which an item has been sold out for a second; 0 between turns.
    turn = multiprocessing.Value("q", 0)
    checked, wrong = (multiprocessing.Value("q", 0) for _ in range(2))
    with tempfile.TemporaryDirectory(prefix="mersalg-sold-out-") as name:
        publish_model(Path(name) / "models", tiny_model(holdout=0.0))
        with running_server(Path(name), database=database, workers=4) as server:
            askers = [
                multiprocessing.Process(
                    target=ask, args=(server.url, turn, checked, wrong, n_asked)
                )
                for _ in range(_ASKERS)
            ]
            for each in askers:
                each.start()
            begun = time.monotonic()
            with server.client() as client:
                n_turns = sell_out(client, turn, checked, n_asked, begun + 60 * minutes)
            for each in askers:
                each.join()
    seconds = time.monotonic() - begun
    print(
        f"{wrong.value:,} of {checked.value:,} suggestions in {seconds:.0f} s showed an item that"
        f" had sold out a second before ({n_turns} times, 4 workers)"
    )
    sys.exit(int(wrong.value > 0 or checked.value < n_asked))


def sell_out(
    client: httpx.Client, turn: Synchronized, checked: Synchronized, n_asked: int, until: float
) -> int:
    """Sell items out and in again until enough answers are checked; return how often."""
    number = 0
    while checked.value < n_asked and time.monotonic() < until:
        number += 1
        item = f"/v1/items/{ITEMS[number % 2]}"
        client.put(item, json={"in_stock": False}).raise_for_status()
        time.sleep(1)
        turn.value = number
        time.sleep(3)
        turn.value = 0
        client.put(item, json={"in_stock": True}).raise_for_status()
    turn.value = -1
    return number


def ask(
    url: str, turn: Synchronized, checked: Synchronized, wrong: Synchronized, n_asked: int
) -> None:
    """Ask until all is over, every 100 calls by a connection of its own, of any worker."""
    while turn.value >= 0 and checked.value < n_asked:
        with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
            for _ in range(100):
                before = turn.value
                answer = client.post("/v1/suggestions", json=_CART).raise_for_status().json()
                if before <= 0 or before != turn.value:
                    continue
                with checked:
                    checked.value += 1
                shown = {offer["item_id"] for offer in answer["offers"]}
                if ITEMS[before % 2] in shown:
                    with wrong:
                        wrong.value += 1


if __name__ == "__main__":
    main()
