from __future__ import annotations

import pickle
from zlib import crc32

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine.arrays import arrays_of, read
from mersalg.engine.vocabulary import StringTable, Vocabulary

# Lone surrogates reach us from files written on other systems; they must survive.
_TEXTS = st.lists(st.text(st.characters(codec=None), max_size=20), max_size=20)


@given(_TEXTS)
def test_a_table_gives_its_texts_back(texts: list[str]) -> None:
    table = StringTable.from_texts(texts)
    assert len(table) == len(texts)
    assert list(table) == texts
    assert [table[place] for place in range(len(texts))] == texts
    again = read(StringTable, arrays_of(table))
    assert list(again) == texts


def test_places_outside_a_table_are_refused() -> None:
    table = StringTable.from_texts(["a", "b"])
    for place in (-1, 2):
        with pytest.raises(IndexError):
            table[place]
    assert list(StringTable.from_texts([])) == []


def test_arrays_are_utf8_and_offsets() -> None:
    arrays = arrays_of(StringTable.from_texts(["å", "", "ab"]), "names")
    assert arrays["names.blob"].tobytes() == "åab".encode()
    assert arrays["names.offsets"].tolist() == [0, 2, 2, 4]
    assert arrays["names.offsets"].dtype == np.int64


@given(st.lists(st.text(max_size=8), unique=True, max_size=20))
def test_ids_and_indices_lead_to_each_other(ids: list[str]) -> None:
    vocabulary = Vocabulary.from_ids(ids)
    assert len(vocabulary) == len(ids)
    for place, text in enumerate(ids):
        assert vocabulary.index_of(text) == place
        assert vocabulary[place] == text
        assert text in vocabulary
    assert vocabulary.index_of("not an id at all") is None
    assert "not an id at all" not in vocabulary


_MANY = st.lists(st.text(st.characters(codec=None), max_size=4), min_size=20, max_size=60)


@given(_MANY, st.lists(st.integers(0, 99), min_size=20, max_size=40))
def test_many_ids_are_found_at_once_as_they_are_one_by_one(
    texts: list[str], asked: list[int]
) -> None:
    vocabulary = Vocabulary.from_ids(sorted(set(texts)))
    wanted = [texts[place] if place < len(texts) else f"no {place}" for place in asked]
    found = [vocabulary.index_of(text) for text in wanted]
    assert vocabulary.indices_of(wanted) == [-1 if place is None else place for place in found]


@pytest.mark.parametrize("odd", ["", "two\nlines", "plumless", "\ud800", "å" * 300])
def test_odd_ids_are_found_among_many(odd: str) -> None:
    ids = [f"sku-{n}" for n in range(30)]
    vocabulary = Vocabulary.from_ids([*ids, odd, "buckeroo"])
    assert vocabulary.indices_of([*reversed(ids), "nobody", odd]) == [*range(29, -1, -1), -1, 30]
    assert Vocabulary.from_ids(ids).indices_of([odd] * 20) == [-1] * 20
    assert Vocabulary.from_ids([]).indices_of([odd] * 20) == [-1] * 20


def test_ids_of_one_sum_are_distinguished() -> None:
    ids = ["plumless", "buckeroo", "mug"]  # the first two have the same CRC-32
    assert crc32(b"plumless") == crc32(b"buckeroo")
    vocabulary = Vocabulary.from_ids(ids)
    assert [vocabulary.index_of(text) for text in ids] == [0, 1, 2]
    with pytest.raises(ValueError, match="twice"):
        Vocabulary.from_ids([*ids, "plumless"])


@given(st.lists(st.text(max_size=8), unique=True, max_size=20))
def test_a_vocabulary_comes_back_from_its_arrays(ids: list[str]) -> None:
    vocabulary = Vocabulary.from_ids(ids)
    again = (
        read(Vocabulary, arrays_of(vocabulary, "ids"), "ids"),
        pickle.loads(pickle.dumps(vocabulary)),
    )
    for other in again:
        assert list(other.ids) == ids
        assert [other.index_of(text) for text in ids] == list(range(len(ids)))


def test_an_id_stands_once() -> None:
    with pytest.raises(ValueError, match="twice"):
        Vocabulary.from_ids(["a", "b", "a"])
