"""How the kernels of mining are compiled: once, without the interpreter's lock."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

_AHEAD_OF_WRITING, _KEEP_IN_ALL_CACHES, _DATA = 0, 3, 1


def compiled(function: Callable[..., Any]) -> Any:
    """Numba's compiler; what it makes is kept on disk, so that the second process starts warm.

    It lies beside the source, or where that cannot be written in the user's own cache folder (or
    `NUMBA_CACHE_DIR`). Where no folder at all can be written, every process compiles for itself.
    """
    try:
        return njit(cache=True, nogil=True)(function)
    except RuntimeError as error:
        if "cannot cache function" not in str(error):
            raise
        return njit(nogil=True)(function)


@intrinsic
def prefetch(_context, array, index):
    """Ask for the cache line of `array[index]`, for reading; `array` is one-dimensional."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        address = ir.IntType(8).as_pointer()
        word = ir.IntType(32)
        kind = ir.FunctionType(ir.VoidType(), [address, word, word, word])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        place = builder.bitcast(builder.gep(data, [arguments[1]]), address)
        hints = [word(hint) for hint in (_AHEAD_OF_WRITING, _KEEP_IN_ALL_CACHES, _DATA)]
        builder.call(function, [place, *hints])
        return context.get_dummy_value()

    return types.void(array, types.intp), generate
