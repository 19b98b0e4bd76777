"""The demo's shop: Complete Journey parted in time, one part to learn from, one to replay.

Both parts are those of the same households: of a sample, or of all.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow.parquet as parquet

from mersalg import __version__
from mersalg.engine.config import load_config
from mersalg.engine.errors import ModelError
from mersalg.engine.progress import Progress
from mersalg.engine.registry import Registry
from mersalg.training.pipeline import BACK_TEST_SAMPLES, train
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.dataset import Dataset, load_dataset
from mersalg.training.simulation.complete_journey import (
    FIRST_DAY,
    N_HOUSEHOLDS,
    N_LINES,
    TEST_DAYS,
    stated,
    write_shop,
)

LEARNT, HELD_OUT = "learnt", "held_out"
PRODUCTS = "products.parquet"

SAMPLE_HOUSEHOLDS = 400
"""As few as still make sensible offers."""
_BACK_TEST_OF_SAMPLE = 1_000


@dataclass(frozen=True, slots=True)
class DemoShop:
    """Paths of the two parts, each a shop file of its own, and of the versions."""

    folder: Path
    n_households: int

    @property
    def learnt(self) -> Path:
        """Shop file of the households that the model is trained on."""
        return self.folder / f"{LEARNT}.toml"

    @property
    def held_out(self) -> Path:
        """Shop file of the households that shop in the demo."""
        return self.folder / f"{HELD_OUT}.toml"

    @property
    def models(self) -> Path:
        """Folder of models."""
        return self.folder / "models"

    @property
    def is_sample(self) -> bool:
        """Whether some households are left out."""
        return self.n_households < N_HOUSEHOLDS

    def n_lines(self) -> int:
        """Return the number of order lines."""
        return parquet.read_metadata(self.folder / "orders.parquet").num_rows

    def sentence(self) -> str:
        """Return the size of the data in words."""
        return f"{stated(self.n_households)}; {self.n_lines():,} of {N_LINES:,} order lines"

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON holds it."""
        n_lines = self.n_lines()
        return {
            "is_sample": self.is_sample,
            "households": self.n_households,
            "share_of_households": self.n_households / N_HOUSEHOLDS,
            "order_lines": n_lines,
            "share_of_order_lines": n_lines / N_LINES,
        }


def prepare_shop(folder: Path, progress: Progress, n_households: int) -> DemoShop:
    """Write both parts below `folder` where they are not there already.

    All households, the sample and samples of other sizes have folders of their own, so that none
    replaces another.

    Raises MersalgError: the demo's data are not installed.
    """
    usual = {N_HOUSEHOLDS: "full", SAMPLE_HOUSEHOLDS: "sample"}
    shop = DemoShop(folder / usual.get(n_households, f"sample-{n_households}"), n_households)
    with progress.task("Preparing Complete Journey"):
        shop_file = write_shop(shop.folder, shop.n_households)
        for name in (LEARNT, HELD_OUT):
            _write_part(shop.folder, shop_file, name)
    return shop


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
    days = pc.days_between(
        FIRST_DAY.replace(tzinfo=None), orders["transaction_timestamp"].cast("timestamp[us]")
    )
    later = pc.greater_equal(days, TEST_DAYS.start)
    wanted = pc.invert(later) if name == LEARNT else later
    partial = orders_file.with_suffix(".partial")
    parquet.write_table(orders.filter(wanted), partial)
    partial.replace(orders_file)
    part_file.write_text(text, encoding="utf-8")


def trained_before(shop: DemoShop) -> str | None:
    """Return the version that an earlier run of this program trained on the same data, or None."""
    registry = Registry(shop.models)
    try:
        remembered = json.loads(_memory(shop).read_text(encoding="utf-8"))
        version = remembered["version"]
        if remembered["fingerprint"] == _fingerprint(shop.learnt) and version == registry.current():
            registry.verify(version)
            return version
    except (OSError, ValueError, KeyError, ModelError):
        pass  # nothing usable from an earlier run
    return None


def train_shop(shop: DemoShop, progress: Progress) -> str:
    """Train and publish a version, and remember what it was trained on."""
    result = train(
        load_config(shop.learnt),
        shop.folder,
        shop.models,
        force=True,
        n_back_test=_BACK_TEST_OF_SAMPLE if shop.is_sample else BACK_TEST_SAMPLES,
        progress=progress,
    )
    remembered = {"fingerprint": _fingerprint(shop.learnt), "version": result.version}
    _memory(shop).write_text(json.dumps(remembered))
    return result.version


def _memory(shop: DemoShop) -> Path:
    return shop.models / "demo.json"


def _fingerprint(shop_file: Path) -> str:
    """Of the shop file, its data and the code that trains."""
    digest = hashlib.sha256(__version__.encode())
    for path in (shop_file, shop_file.with_suffix(".parquet"), shop_file.parent / PRODUCTS):
        digest.update(path.read_bytes())
    here = Path(__file__).parents[1]
    for source in sorted([*here.rglob("*.py"), *(here.parent / "engine").rglob("*.py")]):
        digest.update(source.read_bytes())
    return digest.hexdigest()


def held_out(shop: DemoShop, progress: Progress) -> Dataset:
    """Return the orders that no model was trained on."""
    return load_dataset(load_config(shop.held_out), shop.folder, progress)
