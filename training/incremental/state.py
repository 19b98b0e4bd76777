"""The folder in which a training leaves what the next one need not read or count again.

Layout, below the folder of the versions: `state/<version>/manifest.json`, `orders-<n>.parquet` (the
rows of one file or database), `counts-<n>.npz` (baskets and the itemsets counted in them) and
`items.npz` (what their numbers stand for). Nothing in it is ever unpickled.
"""

from __future__ import annotations

import fcntl
import re
import shutil
import tempfile
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet

from engine.durable import sha256_of, sync_file, sync_folder
from engine.errors import ModelCorrupt, ModelIncompatible, ModelNotFound
from engine.orders import Baskets
from engine.vocabulary import StringTable
from training.incremental.parts import Part
from training.incremental.remembering import Counted
from training.mining.protocol import Itemsets

SCHEMA_VERSION = 1
FOLDER = "state"
_NAME = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{8}")
_FILE = re.compile(r"(orders|counts)-\d+\.(parquet|npz)|items\.npz")
_UNFINISHED = ".writing-"


@dataclass(frozen=True, slots=True)
class State:
    """What one training remembers.

    Attributes:
        version: the version it wrote.
        fingerprints: name -> digest of what it depended on; compared by whoever uses it.
        quality: what was left out of its data, as JSON.
        parts: the rows of its orders.
        item_ids: what the numbers of `counted` stand for.
        counted: what it mined.
    """

    version: str
    fingerprints: Mapping[str, str]
    quality: Mapping[str, Any]
    parts: Sequence[Part]
    item_ids: Sequence[str]
    counted: Sequence[Counted]


def load_state(models: Path) -> State:
    """The latest state below a folder of versions; every file is hashed before it is read.

    Raises:
        ModelNotFound: there is none.
        ModelCorrupt, ModelIncompatible: it cannot be used, and why.
    """
    root = models / FOLDER
    with _lock(root):
        names = _names(root)
        if not names:
            raise ModelNotFound("no earlier training is remembered")
        folder = root / names[-1]
        manifest = _manifest(folder)
        try:
            return _state(folder, manifest)
        except (KeyError, TypeError, ValueError, OSError, pa.ArrowException) as error:
            raise ModelCorrupt(f"the training remembered is unusable: {error}") from error


def save_state(models: Path, state: State) -> None:
    """Write a state and remove earlier ones; one that stands is whole, whatever happens meanwhile.

    Raises:
        OSError: it could not be written; the earlier one is left.
    """
    root = models / FOLDER
    with _lock(root):
        for folder in root.glob(f"{_UNFINISHED}*"):
            # Nobody else writes while the lock is held: a writer that died left it.
            shutil.rmtree(folder, ignore_errors=True)
        earlier = [name for name in _names(root) if name != state.version]
        folder = Path(tempfile.mkdtemp(prefix=_UNFINISHED, dir=root))
        try:
            _fill(folder, state)
            target = root / state.version
            folder.rename(target)
            sync_folder(root)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        for name in earlier:
            shutil.rmtree(root / name, ignore_errors=True)


def forget_state(models: Path) -> None:
    """Remove every state."""
    root = models / FOLDER
    if root.is_dir():
        with _lock(root):
            for name in _names(root):
                shutil.rmtree(root / name)


def _names(root: Path) -> list[str]:
    """Folders of states, oldest first."""
    return sorted(entry.name for entry in root.iterdir() if _NAME.fullmatch(entry.name))


@contextmanager
def _lock(root: Path) -> Generator[None, None, None]:
    """One training at a time reads or writes states."""
    # Orders are of no concern to whoever may read the versions.
    root.mkdir(parents=True, exist_ok=True, mode=0o700)
    with (root / ".lock").open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        manifest = orjson.loads((folder / "manifest.json").read_bytes())
        schema_version, files = int(manifest["schema_version"]), dict(manifest["files"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise ModelCorrupt(f"the training remembered is unusable: {error}") from error
    if schema_version != SCHEMA_VERSION:
        raise ModelIncompatible(
            f"the training remembered has schema {schema_version}, and not {SCHEMA_VERSION}"
        )
    for name, sha256 in files.items():
        if not _FILE.fullmatch(name):
            raise ModelCorrupt(f"the training remembered names an impossible file {name!r}")
        try:
            intact = sha256_of(folder / name) == sha256
        except OSError as error:
            raise ModelCorrupt(f"the training remembered lacks {name}: {error.strerror}") from error
        if not intact:
            raise ModelCorrupt(f"{name} of the training remembered is not what was written")
    return manifest


def _state(folder: Path, manifest: Mapping[str, Any]) -> State:
    parts = [
        Part.from_facts(
            facts, pyarrow.parquet.ParquetFile(folder / f"orders-{place}.parquet").read()
        )
        for place, facts in enumerate(manifest["parts"])
    ]
    items = StringTable.from_arrays(_arrays(folder / "items.npz"), "item_ids")
    return State(
        version=folder.name,
        fingerprints=dict(manifest["fingerprints"]),
        quality=dict(manifest["quality"]),
        parts=parts,
        item_ids=list(items),
        counted=[
            _counted(_arrays(folder / f"counts-{place}.npz"), len(items))
            for place in range(int(manifest["n_counted"]))
        ],
    )


def _fill(folder: Path, state: State) -> None:
    """Write every file and flush it to disk."""
    names: list[str] = []
    for place, part in enumerate(state.parts):
        names.append(f"orders-{place}.parquet")
        pyarrow.parquet.write_table(part.table, folder / names[-1], compression="zstd")
    for place, counted in enumerate(state.counted):
        names.append(f"counts-{place}.npz")
        np.savez(folder / names[-1], **_counted_arrays(counted))
    names.append("items.npz")
    items = StringTable.from_texts(list(state.item_ids))
    np.savez(folder / names[-1], **items.to_arrays("item_ids"))
    manifest = {
        "schema_version": SCHEMA_VERSION,
        "fingerprints": state.fingerprints,
        "quality": state.quality,
        "parts": [part.facts() for part in state.parts],
        "n_counted": len(state.counted),
        "files": {name: sha256_of(folder / name) for name in names},
    }
    path = folder / "manifest.json"
    path.write_bytes(orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    for name in (*names, path.name):
        sync_file(folder / name)
    sync_folder(folder)


def _counted_arrays(counted: Counted) -> dict[str, np.ndarray]:
    itemsets = counted.itemsets
    levels = {
        f"{what}_{length}": level
        for what, found in (("rows", itemsets.items), ("counts", itemsets.counts))
        for length, level in enumerate(found, start=1)
    }
    return {
        "indptr": counted.baskets.indptr,
        "items": counted.baskets.items,
        "limits": np.array([itemsets.min_count, itemsets.max_length], dtype=np.int64),
        **levels,
    }


def _counted(arrays: Mapping[str, np.ndarray], n_items: int) -> Counted:
    baskets = Baskets(arrays["indptr"], arrays["items"], n_items)
    min_count, max_length = arrays["limits"].tolist()
    lengths = range(1, max_length + 1)
    itemsets = Itemsets(
        tuple(arrays[f"rows_{length}"] for length in lengths),
        tuple(arrays[f"counts_{length}"] for length in lengths),
        baskets.n_orders,
        min_count,
    )
    return Counted(baskets, itemsets)


def _arrays(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as loaded:
        return dict(loaded)
