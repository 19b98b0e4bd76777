"""Texts as arrays, and the one mapping of external ids to dense integers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.arrays import Int32s, Int64s
from mersalg.engine.native.kernels import NativeFinding, NativeTexts


@dataclass(frozen=True, slots=True)
class StringTable(NativeTexts):
    """`n` texts as one UTF-8 blob, so that workers can share its pages."""

    blob: NDArray[np.uint8]
    """uint8: shape (total bytes,)."""
    offsets: Int64s
    """int64: shape (n + 1,); text i is `blob[offsets[i]:offsets[i + 1]]`."""

    def __post_init__(self) -> None:
        NativeTexts.__init__(self, self.blob, self.offsets)

    def __reduce__(self) -> tuple[type[StringTable], tuple[object, ...]]:
        return StringTable, (self.blob, self.offsets)

    @classmethod
    def from_texts(cls, texts: Sequence[str]) -> StringTable:
        """Encode texts."""
        encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
        offsets = np.zeros(len(encoded) + 1, dtype=np.int64)
        np.cumsum([len(part) for part in encoded], out=offsets[1:])
        return cls(np.frombuffer(b"".join(encoded), dtype=np.uint8), offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def raw(self) -> Iterator[bytes]:
        """Return the UTF-8 of each text."""
        whole = self.blob.tobytes()
        return (whole[start:stop] for start, stop in pairwise(self.offsets.tolist()))

    def __iter__(self) -> Iterator[str]:
        raw = self.blob.tobytes()
        if raw.isascii():  # mostly: cut, not decoded one by one
            text = raw.decode("ascii")
            return (text[start:stop] for start, stop in pairwise(self.offsets.tolist()))
        return (text.decode("utf-8", "surrogatepass") for text in self.raw())


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Frozen mapping of external ids to 0..n-1, in the order given; ids are unique.

    Ids are found by their check sums, in arrays that workers share: a dictionary of them would
    take each worker several times the room.
    """

    ids: StringTable
    sums: NDArray[np.uint32]
    """uint32 (n,): CRC-32 of the ids' UTF-8, ascending."""
    places: Int32s
    """int32 (n,): the dense index of each, of equal sums ascending."""
    _native: NativeFinding = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        native = NativeFinding(self.ids.blob, self.ids.offsets, self.sums, self.places)
        object.__setattr__(self, "_native", native)

    def __reduce__(self) -> tuple[type[Vocabulary], tuple[object, ...]]:
        return Vocabulary, (self.ids, self.sums, self.places)

    @classmethod
    def from_ids(cls, ids: Sequence[str] | StringTable) -> Vocabulary:
        """Raise ValueError where an id occurs twice."""
        table = ids if isinstance(ids, StringTable) else StringTable.from_texts(ids)
        sums = np.fromiter(map(crc32, table.raw()), dtype=np.uint32, count=len(table))
        places = np.argsort(sums, kind="stable").astype(np.int32)
        sums = sums[places]
        for first in np.flatnonzero(sums[1:] == sums[:-1]).tolist():
            same = places[first : first + 2 + int((sums[first + 2 :] == sums[first]).sum())]
            texts = [table[index] for index in same.tolist()]
            if len(set(texts)) < len(texts):
                raise ValueError("an id occurs twice in the vocabulary")
        return cls(table, sums, places)

    def indices_of(self, texts: Sequence[str]) -> list[int]:
        """Return the dense index of each of several external ids, -1 where one is unknown."""
        return self._native.indices_of(texts)

    def index_of(self, text: str) -> int | None:
        """Return the dense index of an external id, or None where it is unknown."""
        [index] = self._native.indices_of([text])
        return None if index < 0 else index

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, text: object) -> bool:
        return isinstance(text, str) and self.index_of(text) is not None

    def __getitem__(self, index: int) -> str:
        return self.ids[index]
