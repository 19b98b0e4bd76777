"""Texts as arrays, and the one mapping of external ids to dense integers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice, pairwise

import numpy as np
from numpy.typing import NDArray

_PIECE = 4096


@dataclass(frozen=True, slots=True)
class StringTable:
    """`n` texts as one UTF-8 blob, so that workers can share its pages.

    Attributes:
        blob: uint8, shape (total bytes,).
        offsets: int64, shape (n + 1,); text i is `blob[offsets[i]:offsets[i + 1]]`.
    """

    blob: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    # Views of both: one entry of an array costs several times as much.
    _bytes: memoryview = field(init=False, repr=False, compare=False)
    _bounds: memoryview = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_bytes", self.blob.data)
        object.__setattr__(self, "_bounds", self.offsets.data)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> StringTable:
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> str:
        if index < 0:
            raise IndexError(index)
        start, stop = self._bounds[index], self._bounds[index + 1]
        return str(self._bytes[start:stop], "utf-8", "surrogatepass")

    def __iter__(self) -> Iterator[str]:
        raw, bounds = self.blob.tobytes(), self.offsets.tolist()
        if raw.isascii():  # mostly: cut, not decoded one by one
            text = raw.decode("ascii")
            return (text[start:stop] for start, stop in pairwise(bounds))
        return (
            raw[start:stop].decode("utf-8", "surrogatepass") for start, stop in pairwise(bounds)
        )

    def to_arrays(self, name: str) -> dict[str, NDArray[np.generic]]:
        return {f"{name}_blob": self.blob, f"{name}_offsets": self.offsets}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, NDArray[np.generic]], name: str) -> StringTable:
        return cls(
            np.asarray(arrays[f"{name}_blob"], dtype=np.uint8),
            np.asarray(arrays[f"{name}_offsets"], dtype=np.int64),
        )


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Frozen mapping of external ids to 0..n-1, in the order given; ids are unique."""

    ids: StringTable
    _index: dict[str, int] = field(repr=False)

    @classmethod
    def from_ids(cls, ids: Sequence[str] | StringTable) -> Vocabulary:
        """Raises ValueError where an id stands twice."""
        table = ids if isinstance(ids, StringTable) else StringTable.from_texts(ids)
        index: dict[str, int] = {}
        texts, places = iter(table), iter(range(len(table)))
        # In pieces: one call for all would keep a service's other threads waiting.
        while len(piece := list(islice(texts, _PIECE))):
            index.update(zip(piece, places, strict=False))
        if len(index) != len(table):
            raise ValueError("an id stands twice in the vocabulary")
        return cls(table, index)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, text: object) -> bool:
        return text in self._index

    def index_of(self, text: str) -> int | None:
        """The dense index of an external id, or None where it is unknown."""
        return self._index.get(text)

    def __getitem__(self, index: int) -> str:
        return self.ids[index]
