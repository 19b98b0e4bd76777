"""The demo's shop: Complete Journey parted in time, one part to learn from, one to replay."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import pyarrow.compute as compute
import pyarrow.parquet as parquet

from engine.config import load_config
from engine.errors import ModelError
from engine.progress import Progress
from engine.registry import Registry
from training.complete_journey import FIRST_DAY, TEST_DAYS, write_shop
from training.dataset import Dataset, load_dataset
from training.pipeline import train

LEARNT, HELD_OUT = "learnt", "held_out"
PRODUCTS = "products.parquet"


@dataclass(frozen=True, slots=True)
class DemoShop:
    """Where the two parts lie, each a shop file of its own, and where versions go."""

    learnt: Path
    held_out: Path
    models: Path


def prepare_shop(folder: Path, progress: Progress) -> DemoShop:
    """Write both parts into `folder` where they do not stand there already.

    Raises:
        MersalgError: the demo's data are not installed.
    """
    with progress.task("Preparing Complete Journey"):
        shop_file = write_shop(folder)
        for name in (LEARNT, HELD_OUT):
            _write_part(folder, shop_file, name)
    return DemoShop(folder / f"{LEARNT}.toml", folder / f"{HELD_OUT}.toml", folder / "models")


def _write_part(folder: Path, shop_file: Path, name: str) -> None:
    text = shop_file.read_text(encoding="utf-8").replace('"orders.parquet"', f'"{name}.parquet"')
    part_file, orders_file = folder / f"{name}.toml", folder / f"{name}.parquet"
    source = folder / "orders.parquet"
    if (
        part_file.exists()
        and part_file.read_text(encoding="utf-8") == text
        and orders_file.exists()
        and orders_file.stat().st_mtime >= source.stat().st_mtime
    ):
        return
    orders = parquet.read_table(source)
    days = compute.days_between(
        FIRST_DAY.replace(tzinfo=None), orders["transaction_timestamp"].cast("timestamp[us]")
    )
    later = compute.greater_equal(days, TEST_DAYS.start)
    wanted = compute.invert(later) if name == LEARNT else later
    partial = orders_file.with_suffix(".partial")
    parquet.write_table(orders.filter(wanted), partial)
    partial.replace(orders_file)
    part_file.write_text(text, encoding="utf-8")


def train_once(shop: DemoShop, progress: Progress) -> tuple[str, bool]:
    """(version, whether it was trained now): the same data and program are not trained twice."""
    registry = Registry(shop.models)
    memory = shop.models / "demo.json"
    fingerprint = _fingerprint(shop.learnt)
    try:
        remembered = json.loads(memory.read_text(encoding="utf-8"))
        if remembered["fingerprint"] == fingerprint and remembered["version"] == registry.current():
            registry.verify(remembered["version"])
            return remembered["version"], False
    except (OSError, ValueError, KeyError, ModelError):
        pass  # nothing usable from an earlier run
    result = train(
        load_config(shop.learnt), shop.learnt.parent, shop.models, force=True, progress=progress
    )
    memory.write_text(json.dumps({"fingerprint": fingerprint, "version": result.version}))
    return result.version, True


def _fingerprint(shop_file: Path) -> str:
    """Of the shop file, its data and the code that trains."""
    digest = hashlib.sha256(version("mersalg").encode())
    for path in (shop_file, shop_file.with_suffix(".parquet"), shop_file.parent / PRODUCTS):
        digest.update(path.read_bytes())
    here = Path(__file__).parent
    for source in sorted([*here.rglob("*.py"), *(here.parent / "engine").rglob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def held_out(shop: DemoShop, progress: Progress) -> Dataset:
    """The orders nobody learnt from."""
    return load_dataset(load_config(shop.held_out), shop.held_out.parent, progress)
