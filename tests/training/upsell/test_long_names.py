"""Names and texts of a catalogue, as long as a stranger likes: reading one is soon over."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import pytest

from mersalg.engine.upsell.gains import are_amounts
from mersalg.engine.upsell.numbers import parse_number as parse_stated_number
from mersalg.engine.upsell.packs import pack_in_name, parse_pack
from mersalg.training.reading.numbers import parse_number
from mersalg.training.simulation.complete_journey import readable
from mersalg.training.upsell.names import stem_of

READERS: dict[str, Callable[[str], object]] = {
    "stem_of": stem_of,
    "parse_pack": parse_pack.__wrapped__,
    "pack_in_name": pack_in_name,
    "a number with its unit": parse_stated_number.__wrapped__,
    "sides": lambda text: are_amounts("size", text, f"{text}1"),
    "a price": lambda text: parse_number(text, "."),
    "a price with a comma": lambda text: parse_number(text, ","),
    "a product type": readable,
}
# What the patterns look for, so that runs of them are nearly matches in many ways.
ATOMS = (
    *"1 12 1234 1/ 1/2 x 1x 1x1/ 1. 1.1 1, 1,1 - 1- a oz 1oz pk 1pk/ ( of no. no: sku fl.".split(),
    *"* + ' $ kr m2 1gb ½ | ; é in : & , A A/ _ #".split(),
    *(
        " ",
        "\u00a0",
        "1 ",
        " 1",
        "1 000 ",
        "1 x ",
        "pack of ",
        "1 1/2 ",
        " - ",
        "1  ",
        "no. ",
        "& ",
    ),
)
HANG_SECONDS = 60.0
"""No measure of speed: a pattern that is not linear takes hours of one of these names."""


@contextmanager
def no_hang(text: str) -> Iterator[None]:
    def give_up(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        raise TimeoutError(f"still reading {text[:40]!r} x {len(text)}")

    before = signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, HANG_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def long_texts() -> Iterator[str]:
    draw = random.Random(81)
    seeds = [*ATOMS, *("".join(draw.sample(ATOMS, 2)) for _ in range(60))]
    for seed in seeds:
        for before, after in (("", "!"), ("1", "1"), ("pack", "oz")):
            for length in (81, 3_000):
                yield before + seed * (length // len(seed)) + after


@pytest.mark.parametrize("name", READERS)
def test_names_of_any_length_are_read(name: str) -> None:
    for text in long_texts():
        with no_hang(text):
            READERS[name](text)


def test_measures_are_taken_from_names_as_before() -> None:
    for name, stem in (
        ("Latte 0,4 l", "latte"),
        ("Cola 6 x 330 ml", "cola"),
        ("Cola 4/12 oz", "cola"),
        ("Napkins pack of 12", "napkins"),
        ("Candles set / 3", "candles"),
        ("Rope 1.5/2 m", "rope 1 5 2"),
        ("Phone 14", "phone 14"),
        ("Phone 14/15", "phone 14 15"),
        ("Rice 1,234,567 g", "rice"),
        ("12 oz", "12 oz"),
    ):
        assert stem_of(name) == stem
