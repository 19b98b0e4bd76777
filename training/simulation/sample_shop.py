"""Sample shops: files of a shop that does not exist, whose orders end yesterday."""

from __future__ import annotations

import csv
import random
import tomllib
from collections import defaultdict
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from importlib import resources
from importlib.resources.abc import Traversable
from io import StringIO
from typing import Any
from zoneinfo import ZoneInfo

from mersalg.engine.errors import ConfigError, shown

_FILES = ("shop.toml", "catalogue.csv", "carts.jsonl")
_SAMPLES = resources.files("mersalg.training") / "samples"
_ANOTHER_ITEM = 0.1
"""Share of orders with one item more, of any family."""


def sample_names() -> list[str]:
    """Return the names of the sample shops."""
    return sorted(each.name for each in _SAMPLES.iterdir() if each.is_dir())


def sample_files(name: str, now: datetime) -> dict[str, bytes]:
    """Return the contents of a sample shop's files by their names.

    The same day gives the same orders; those of another day differ in their dates alone. The last
    order is of the day before `now`, in the shop's time zone.


    Raises ConfigError: no such sample.
    """
    if name not in sample_names():
        raise ConfigError(f"no such sample {shown(name)}; there is {', '.join(sample_names())}")
    folder = _SAMPLES / name
    files = {file: (folder / file).read_bytes() for file in _FILES}
    timezone = tomllib.loads(files["shop.toml"].decode())["shop"]["timezone"]
    return {
        **files,
        "orders.csv": _orders(folder, now.astimezone(ZoneInfo(timezone)).date()).encode(),
    }


def _orders(folder: Traversable, today: date) -> str:
    habits = tomllib.loads((folder / "habits.toml").read_text("utf-8"))
    catalogue = StringIO((folder / "catalogue.csv").read_text("utf-8"))
    items: list[Mapping[str, str]] = [*csv.DictReader(catalogue)]
    families: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for item in items:
        families[item["family"]].append(item)
    # The last order of all is made at the end of yesterday's opening hours.
    last = datetime.combine(today - timedelta(days=1), time(18))
    apart = timedelta(days=habits["days"]) / habits["orders"]
    file = StringIO()
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(["order_id", "customer_id", "ordered_at", "item_id", "quantity", "unit_price"])
    draw = random.Random(folder.name)  # noqa: S311
    for number in range(habits["orders"]):
        moment = last - (habits["orders"] - 1 - number) * apart
        customer = f"c{draw.randrange(habits['customers']):03}"
        bought = {item["item_id"]: item for item in _basket(habits, families, items, draw)}
        order = (f"o{number + 1:05}", customer, moment.isoformat(" ", "minutes"))
        writer.writerows([*order, item_id, 1, item["price"]] for item_id, item in bought.items())
    return file.getvalue()


def _basket(
    habits: Mapping[str, Any],
    families: Mapping[str, list[Mapping[str, str]]],
    items: list[Mapping[str, str]],
    draw: random.Random,
) -> Iterator[Mapping[str, str]]:
    def of_family(name: str) -> Mapping[str, str]:
        members = families[name]
        # The cheaper a version, the more buy it.
        return draw.choices(members, [1 / float(member["price"]) ** 0.5 for member in members])[0]

    (first,) = draw.choices([*habits["first"]], [*habits["first"].values()])
    yield of_family(first)
    for family, share in habits["beside"].get(first, {}).items():
        if draw.random() < share:
            yield of_family(family)
    if draw.random() < _ANOTHER_ITEM:
        yield draw.choice(items)
