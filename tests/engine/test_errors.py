"""Errors cross from process to process whole."""

from __future__ import annotations

import pickle

import pytest

from mersalg.engine.errors import (
    ConfigError,
    DataError,
    FactRejected,
    MersalgError,
    ModelCorrupt,
    StorageUnavailable,
)

ERRORS = [
    ConfigError("no such key", details={"key": "shop"}),
    DataError("the cell is empty", file="a.csv", row=3, column="price"),
    FactRejected("invalid", "offers[3].quantity is too large"),
    ModelCorrupt("a file is missing"),
    StorageUnavailable("postgresql://secret", outward="the database is away"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_error_is_handed_on_whole(error: MersalgError) -> None:
    back = pickle.loads(pickle.dumps(error))
    assert type(back) is type(error)
    assert str(back) == str(error) == back.message
    assert vars(back) == vars(error)
