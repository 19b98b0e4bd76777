"""One training's use of what the last one remembered, and what it remembers itself."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from engine.catalogue import Catalogue
from engine.config import ShopConfig
from engine.errors import ModelError
from engine.progress import Progress
from training.database_source import without_password
from training.dataset import Sources, read_catalogue_source
from training.incremental.differing import renumbered
from training.incremental.parts import Part, Reading, read_file_parts, source_of
from training.incremental.remembering import Counted, CountsOrigin, RememberingEngine
from training.incremental.row_digests import digest_of_rows
from training.incremental.state import State, forget_state, load_state, save_state
from training.incremental.window import read_database_part
from training.mining.protocol import Itemsets, MiningEngine
from training.order_lines import needed_columns


@dataclass(frozen=True, slots=True)
class SinceLast:
    """What a training built on, for people and machines.

    Attributes:
        version: the version of the training remembered, None where none could be used.
        nothing_new: whether all was as then, so that no version was written.
        reason: why everything was read and counted; "" where not.
        reading: what was read.
        counts: where the itemsets of each mining came from.
        problem: why the next training will have nothing to build on; "" where it will.
    """

    version: str | None
    nothing_new: bool
    reason: str
    reading: Reading
    counts: Sequence[CountsOrigin]
    problem: str

    def to_json(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "nothing_new": self.nothing_new,
            "reason": self.reason,
            "reading": self.reading.to_json(),
            "counts": [origin.to_json() for origin in self.counts],
            "problem": self.problem,
        }


@dataclass(slots=True)
class Memory:
    """Opened before the orders are read, closed by `remember` after the version was written."""

    models: Path
    config: ShopConfig
    state: State | None = None
    reason: str = ""
    parts: list[Part] = field(default_factory=list[Part])
    reading: Reading = field(default_factory=Reading)
    fingerprints: dict[str, str] = field(default_factory=dict[str, str])
    mining: RememberingEngine | None = None
    problem: str = ""

    @classmethod
    def open(cls, models: Path, config: ShopConfig, *, since_last: bool) -> Memory:
        """`since_last` False builds on nothing."""
        memory = cls(models, config)
        if since_last:
            try:
                memory.state = load_state(models)
            except ModelError as error:
                memory.reason = error.message
        return memory

    def read(self, folder: Path, progress: Progress) -> Sources:
        """The shop's rows, of which only the new ones are read where that can be.

        Raises:
            ConfigError, DataError: as `dataset.load_dataset`.
        """
        catalogue = read_catalogue_source(self.config, folder, progress)
        self.fingerprints = _fingerprints(self.config)
        self.fingerprints["catalogue"] = digest_of_rows(catalogue.table) if catalogue else ""
        remembered: Mapping[str, Part] = {}
        if self.state is not None:
            if self.state.fingerprints.get("reading") == self.fingerprints["reading"]:
                remembered = {part.name: part for part in self.state.parts}
            else:
                self.reason = "the shop file says otherwise how its orders are read"
        with progress.task("Reading orders"):
            if self.config.orders.url is not None:
                known = next(iter(remembered.values()), None)
                self.parts, self.reading = read_database_part(self.config, folder, known)
            else:
                self.parts, self.reading = read_file_parts(self.config.orders, folder, remembered)
            orders = source_of(self.parts, self.config.orders, folder)
        self.reason = self.reason or self.reading.reason
        return Sources(orders, catalogue)

    @property
    def nothing_new(self) -> bool:
        """Whether a training could only write again what the last one wrote."""
        if self.state is None or self.reading.is_changed:
            return False
        # A row dated in the future becomes an order without any file having changed.
        waiting = self.state.quality["orders"]["left_out"].get("future_date")
        return not waiting and dict(self.state.fingerprints) == self.fingerprints

    def engine(self, engine: MiningEngine, catalogue: Catalogue) -> MiningEngine:
        """An engine that adds to the counts remembered."""
        if not self.config.training.remember:
            return engine
        remembered = _renumbered(self.state, catalogue) if self.state is not None else []
        self.mining = RememberingEngine(engine, remembered)
        return self.mining

    def remember(self, version: str, catalogue: Catalogue, quality: Mapping[str, Any]) -> None:
        """Keep this training for the next; a disk that is full is a problem told, not an error."""
        if self.mining is None:
            forget_state(self.models)
            return
        state = State(
            version=version,
            fingerprints=self.fingerprints,
            quality=quality,
            parts=self.parts,
            item_ids=list(catalogue.items.ids),
            counted=self.mining.counted,
        )
        try:
            save_state(self.models, state)
        except (OSError, pa.ArrowException) as error:
            self.problem = f"this training could not be remembered: {error}"

    def since_last(self) -> SinceLast:
        return SinceLast(
            version=self.state.version if self.state is not None else None,
            nothing_new=self.nothing_new,
            reason=self.reason,
            reading=self.reading,
            counts=self.mining.origins if self.mining is not None else [],
            problem=self.problem,
        )


def _fingerprints(config: ShopConfig) -> dict[str, str]:
    section = config.orders
    how_read = {
        "separator": section.separator,
        "encoding": section.encoding,
        "database": without_password(section.url) if section.url is not None else None,
        "query": section.query,
        "columns": sorted(set(needed_columns(section))),
    }
    return {
        "reading": _digest(how_read),
        "shop_file": _digest(config.model_dump(mode="json")),
        "mersalg": version("mersalg"),
    }


def _digest(data: Mapping[str, Any]) -> str:
    return hashlib.sha256(orjson.dumps(data, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _renumbered(state: State, catalogue: Catalogue) -> list[Counted]:
    """The counts remembered, items numbered as in `catalogue`; those there no longer left out."""
    found = [catalogue.items.index_of(item_id) for item_id in state.item_ids]
    numbers = np.array([-1 if item is None else item for item in found], dtype=np.int64)
    n_items = len(catalogue)
    renumbered_counts: list[Counted] = []
    for counted in state.counted:
        itemsets = counted.itemsets
        kept = [(numbers[rows] >= 0).all(axis=1) for rows in itemsets.items]
        rows = [
            numbers[level[mask]].astype(np.int32)
            for level, mask in zip(itemsets.items, kept, strict=True)
        ]
        counts = [level[mask] for level, mask in zip(itemsets.counts, kept, strict=True)]
        renumbered_counts.append(
            Counted(
                renumbered(counted.baskets, numbers, n_items),
                Itemsets.from_rows(
                    rows, counts, n_orders=itemsets.n_orders, min_count=itemsets.min_count
                ),
            )
        )
    return renumbered_counts
