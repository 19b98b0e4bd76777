"""Versions of schema 1, whose arrays are pickled: read once, and written in today's form."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import joblib
import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Arrays, arrays_of
from mersalg.engine.errors import ModelNotFound
from mersalg.engine.manifest import OPTIONAL, SCHEMA_VERSION
from mersalg.engine.model import Model
from mersalg.engine.registry import Registry
from mersalg.engine.vocabulary import StringTable
from mersalg.engine.words import read_toml

_NAMES: Mapping[str, list[list[str]]] = read_toml("mersalg.training", "model_schema_1.toml")


def convert(registry: Registry, version: str) -> str:
    """Write a version of schema 1 in today's form, and return the name of the new version.

    Raises
    ------
    ModelNotFound
        There is no such version, or it is of today's form already.
    ModelCorrupt
        A file is not what was written, or the arrays contradict each other.
    """
    # Reading a pickle runs what it says: only files that are what the manifest says are read.
    manifest = registry.verify(version)
    if manifest.schema_version == SCHEMA_VERSION:
        raise ModelNotFound(f"model {version} has the form of this Mersalg already")
    arrays: dict[str, NDArray[Any]] = {}
    for name in manifest.files:
        component = name.removesuffix(".joblib")
        if component in _NAMES:
            arrays |= dict(_renamed(component, joblib.load(registry.root / version / name)))
    model = Model.of_arrays(version, manifest.settings(), arrays)
    fields = {name: value for name in OPTIONAL if (value := getattr(manifest, name))}
    return registry.write(model, fields)


def _renamed(component: str, arrays: Arrays) -> Iterator[tuple[str, NDArray[Any]]]:
    for name, array in arrays.items():
        for pattern, new in _NAMES[component]:
            if match := re.fullmatch(pattern, name):
                part = "indptr" if "indptr" in match.groups() else "values"
                name = match.expand(new).replace("{}", part)
                break
        yield from _reshaped(f"{component}.{name}", array)
    if component == "catalogue":
        texts = {
            key: list(StringTable(arrays[f"{key}_blob"], arrays[f"{key}_offsets"]))
            for key in ("currency", "attribute_names")
        }
        yield from arrays_of(texts["currency"][0], "catalogue.currency").items()
        yield "catalogue.attributes.keys", np.array(texts["attribute_names"], np.str_)
    if component == "ranking":
        yield "ranking.scorers.keys", np.array(["discovery", "complete"])


def _reshaped(name: str, array: NDArray[Any]) -> Iterator[tuple[str, NDArray[Any]]]:
    """Yield the arrays of today that one of schema 1 holds."""
    owner, _, last = name.rpartition(".")
    if last == "n_orders" and owner != "stores" and not owner.endswith("signals"):
        yield name, array.reshape(())
    elif last in ("platt", "offers_platt"):
        prefix = "offer_" if last == "offers_platt" else ""
        for part, value in zip(("slope", "intercept"), array, strict=True):
            yield f"{owner}.{prefix}{part}", np.array(float(value))
    elif match := re.fullmatch(r"(weights|bias)_(\d+)", last):
        yield f"{owner}.{'biases' if match[1] == 'bias' else 'weights'}.{match[2]}", array
    else:
        yield name, array
