"""Dense indices of many external ids at once, by the compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from engine.native.library import Held, Library, address_of, counted

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64


class _Vocabulary(ctypes.Structure):
    _fields_ = (
        ("n", _COUNT),
        ("n_bytes", _COUNT),
        ("blob", _POINTER),
        ("offsets", _POINTER),
        ("sums", _POINTER),
        ("places", _POINTER),
    )


class NativeFinding:
    """What the kernel looks at of a `Vocabulary`; arrays as there."""

    def __init__(
        self,
        library: Library,
        blob: NDArray[np.uint8],
        offsets: NDArray[np.int64],
        sums: NDArray[np.uint32],
        places: NDArray[np.int32],
    ) -> None:
        self._library, self._held = library, Held()
        held = self._held
        self._known = _Vocabulary(
            min(len(offsets) - 1, len(sums), len(places)),
            len(blob),
            held.address(blob, np.uint8),
            held.address(offsets, np.int64),
            held.address(sums, np.uint32),
            held.address(places, np.int32),
        )

    def find(self, texts: Sequence[str]) -> list[int] | None:
        """-1 where an id is unknown; None where one spans lines, which the kernel cannot tell."""
        asked = "\n".join(texts).encode("utf-8", "surrogatepass")
        if asked.count(b"\n") != len(texts) - 1:
            return None
        found = np.empty(len(texts), dtype=np.int32)
        counted(
            self._library.functions.mersalg_find(
                ctypes.addressof(self._known), asked, len(asked), len(texts), address_of(found)
            )
        )
        return found.tolist()
