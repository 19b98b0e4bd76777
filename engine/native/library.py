"""The compiled kernels that serve, and what arrays they take."""

from __future__ import annotations

import ctypes
import threading
from functools import cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from engine.arrays import Ragged
from engine.native import kernels
from engine.ranking.scorer import Scorer

_POINTER, _COUNT = ctypes.c_void_p, ctypes.c_int64
_MOST_LAYERS, _WIDEST = 8, 4096
LANES = 16


class BrokenArrays(ValueError):
    """A kernel was given arrays that point outside of each other."""


class Rows(ctypes.Structure):
    """Rows of a sparse matrix, as in `shared.h`."""

    _fields_ = (
        ("n_rows", _COUNT),
        ("n_entries", _COUNT),
        ("indptr", _POINTER),
        ("columns", _POINTER),
    )


class Network(ctypes.Structure):
    """A `Scorer`, as in `shared.h`."""

    _fields_ = (
        ("n_layers", _COUNT),
        ("n_features", _COUNT),
        ("mean", _POINTER),
        ("scale", _POINTER),
        ("width", _COUNT * _MOST_LAYERS),
        ("weights", _POINTER * _MOST_LAYERS),
        ("biases", _POINTER * _MOST_LAYERS),
        ("spans", _POINTER * _MOST_LAYERS),
        ("slope", ctypes.c_double),
        ("intercept", ctypes.c_double),
    )


class Library:
    """Loaded once in a process; each thread works in memory of its own.

    While one of `functions` runs no other thread does: they take microseconds.
    """

    def __init__(self, functions: ctypes.CDLL) -> None:
        self.functions = functions
        self._own = threading.local()

    @property
    def workspace(self) -> int:
        """The address of this thread's `Workspace`."""
        try:
            return self._own.workspace.address
        except AttributeError:
            self._own.workspace = _Workspace(self.functions)
            return self._own.workspace.address


class _Workspace:
    def __init__(self, functions: ctypes.CDLL) -> None:
        self._functions = functions
        self.address: int = functions.mersalg_open()
        if not self.address:
            raise MemoryError("no memory for the kernels")

    def __del__(self) -> None:
        self._functions.mersalg_close(getattr(self, "address", None))


@cache
def library() -> Library:
    """Return the kernels of the extension module."""
    return load_library(kernels.__file__)


def load_library(path: str) -> Library:
    """Return the kernels of the extension module at `path`."""
    # Short calls: to let go of the interpreter and wait for it again would cost more.
    functions = ctypes.PyDLL(path)
    _declare(functions)
    return Library(functions)


def _declare(functions: ctypes.CDLL) -> None:
    for name, result, arguments in (
        ("mersalg_open", _POINTER, []),
        ("mersalg_close", None, [_POINTER]),
        (
            "mersalg_fire",
            _COUNT,
            [*[_POINTER] * 4, _COUNT, ctypes.c_double, *[_POINTER] * 2],
        ),
        ("mersalg_find", _COUNT, [_POINTER, ctypes.c_char_p, _COUNT, _COUNT, _POINTER]),
        ("mersalg_highest", _COUNT, [_POINTER, _COUNT, _COUNT, _POINTER]),
        ("mersalg_strongest", _COUNT, [*[_POINTER] * 3, _COUNT, _POINTER, _COUNT, _POINTER]),
        (
            "mersalg_rank",
            _COUNT,
            [*[_POINTER] * 4, _COUNT, *[_POINTER] * 3, _COUNT, ctypes.c_int, *[_POINTER] * 2],
        ),
        ("mersalg_pairs", _COUNT, [*[_POINTER] * 2, _COUNT, _POINTER, _COUNT, *[_POINTER] * 2]),
        (
            "mersalg_upgrades",
            _COUNT,
            [*[_POINTER] * 6, _COUNT, *[_POINTER] * 2, _COUNT, *[_POINTER] * 2, _COUNT, _POINTER],
        ),
        ("mersalg_complements", _COUNT, [_POINTER] * 5),
        (
            "mersalg_siblings",
            _COUNT,
            [*[_POINTER] * 5, _COUNT, _POINTER, _COUNT, _POINTER, _COUNT, _POINTER],
        ),
    ):
        function = getattr(functions, name)
        function.restype, function.argtypes = result, arguments


class Held:
    """Addresses of arrays, which are kept for as long as this is."""

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.generic]] = []

    def address(self, array: NDArray[np.generic], kind: type[np.generic]) -> int:
        """Of `array`, copied only where it is not of `kind` and in one piece already."""
        whole = np.ascontiguousarray(array, dtype=kind)
        self._arrays.append(whole)
        return address_of(whole)

    def rows(self, rows: Ragged[np.int32]) -> Rows:
        return Rows(
            len(rows),
            len(rows.values),
            self.address(rows.indptr, np.int64),
            self.address(rows.values, np.int32),
        )

    def network(self, scorer: Scorer) -> Network:
        """Of a scorer that `fits`."""
        network = Network(n_layers=len(scorer.weights), n_features=len(scorer.mean))
        network.mean = self.address(scorer.mean, np.float32)
        network.scale = self.address(1 / scorer.scale, np.float32)
        network.slope, network.intercept = scorer.slope, scorer.intercept
        n_in = len(scorer.mean)
        for place, (weights, bias) in enumerate(zip(scorer.weights, scorer.biases, strict=True)):
            width = -(-len(bias) // LANES) * LANES
            wide = np.zeros((n_in, width), dtype=np.float32)
            wide[: weights.shape[0], : weights.shape[1]] = weights
            shift = np.zeros(width, dtype=np.float32)
            shift[: len(bias)] = bias
            if 0 < place == len(scorer.weights) - 1:
                wide = wide[:, 0]
            network.width[place] = width
            network.weights[place] = self.address(wide, np.float32)
            network.spans[place] = self.address(_spans(wide.reshape(n_in, -1)), np.int32)
            network.biases[place] = self.address(shift, np.float32)
            n_in = width
        return network


def _spans(weights: NDArray[np.float32]) -> NDArray[np.int32]:
    """int32 (n_blocks, 2): of each LANES columns the first row with a weight, one beyond the last.

    Networks side by side are one whose weights are blocks on the diagonal.
    """
    spans = np.zeros((-(-weights.shape[1] // LANES), 2), dtype=np.int32)
    for block in range(len(spans)):
        part = weights[:, block * LANES : (block + 1) * LANES]
        used = np.flatnonzero(np.abs(part).max(axis=1, initial=0))
        if len(used):
            spans[block] = used[0], used[-1] + 1
    return spans


def fits(scorer: Scorer) -> bool:
    """Whether kernels take its network: few layers, none too wide, the last with one output."""
    widths = [len(scorer.mean), *map(len, scorer.biases)]
    shapes = [weights.shape for weights in scorer.weights]
    return (
        0 < len(shapes) <= _MOST_LAYERS
        and shapes == list(pairwise(widths))
        and len(scorer.scale) == widths[0]
        and widths[-1] == 1
        and max(widths) <= _WIDEST
    )


def address_of(array: NDArray[np.generic]) -> int:
    return array.__array_interface__["data"][0]


def integers_at(pointer: ctypes.c_void_p, n: int) -> NDArray[np.int32]:
    """A copy of `n` int32, read-only."""
    return np.frombuffer(ctypes.string_at(pointer, 4 * n), dtype=np.int32)


def doubles_at(pointer: ctypes.c_void_p, n: int) -> NDArray[np.float64]:
    """A copy of `n` float64, read-only."""
    return np.frombuffer(ctypes.string_at(pointer, 8 * n), dtype=np.float64)


def counted(n: int) -> int:
    """What a kernel answered.

    Raises:
        MemoryError: there was none left.
        BrokenArrays: the arrays do not fit each other.
    """
    if n == -1:
        raise MemoryError("no memory for the kernels")
    if n < 0:
        raise BrokenArrays("arrays of the model point outside of each other")
    return n
