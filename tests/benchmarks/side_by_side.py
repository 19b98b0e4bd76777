"""Two sides measured in turns in the same run, and how one compares with the other."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median


def seconds_of(work: Callable[[], object]) -> float:
    """Return how long a piece of work takes."""
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def in_turns(
    rounds: int, ours: Callable[[], float], floor: Callable[[], float]
) -> tuple[list[float], list[float]]:
    """Return the seconds of both sides, measured in turns: what slows the machine slows both."""
    measured = [(ours(), floor()) for _ in range(rounds)]
    return [own for own, _ in measured], [other for _, other in measured]


def print_ratio(
    label: str, ours: list[float], floor: list[float], beside: str, goal: float
) -> None:
    """Print both medians, and their ratio with its goal.

    Args:
        beside: what the other side is.
        goal: the largest ratio that keeps the promise.
    """
    own, other = median(ours), median(floor)
    ratio = own / other
    verdict = "reached" if ratio <= goal else "NOT REACHED"
    print(
        f"{label:44} {_time(own)}   {beside:38} {_time(other)}"
        f"   ratio {ratio:5.2f} (goal: at most {goal:g}, {verdict})",
        flush=True,
    )


def _time(seconds: float) -> str:
    return f"{1e3 * seconds:9.2f} ms" if seconds >= 1e-4 else f"{1e9 * seconds:9.0f} ns"
