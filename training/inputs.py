"""A digest of everything a training depends on, so that `--if-changed` can compare two of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import orjson
import pandas as pd

from mersalg import __version__
from mersalg.engine.config import ShopConfig
from mersalg.engine.durable import sha256_of
from mersalg.engine.forgotten import Forgotten
from mersalg.training.dataset import Sources


def inputs_digest(config: ShopConfig, models: Path, engine: str, sources: Sources) -> str:
    """Return the sha256 of the shop file, the rows it names, the erased customers and the release.

    Files count by their bytes, rows of a database whatever their order.
    """
    rows: list[str] = []
    for section, source in (
        (config.orders, sources.orders),
        (config.catalogue, sources.catalogue),
    ):
        if source is None or section is None:
            continue
        if section.url is None:
            rows += [f"{name} {sha256_of(Path(name))}" for name in source.files]
        else:
            hashes = pd.util.hash_pandas_object(
                source.table.to_pandas(), index=False, categorize=False
            )
            rows.append(hashlib.sha256(np.sort(hashes.to_numpy()).tobytes()).hexdigest())
    parts = {
        "items": {key: list(item.bodies()) for key, item in sources.items.items()},
        "shop_file": config.model_dump(mode="json"),
        "rows": rows,
        "forgotten": hashlib.sha256(Forgotten(models).hashes().tobytes()).hexdigest(),
        "engine": engine,
        "mersalg": __version__,
    }
    return hashlib.sha256(orjson.dumps(parts, option=orjson.OPT_SORT_KEYS)).hexdigest()
