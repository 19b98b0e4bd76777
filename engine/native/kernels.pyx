# cython: language_level=3, boundscheck=False, wraparound=False, cdivision=True
# cython: initializedcheck=False, embedsignature=True
"""The compiled kernels, one extension module: counting, rules and fitting.

Training counts and fits without the interpreter's lock; what serves a call keeps it. Arguments are
described where the functions are; `kernels.pyi` has their types.
"""

from itertools import pairwise
from struct import Struct

import numpy as np

from libc.math cimport (
    INFINITY, NAN, exp, exp2f, expf, fabsf, isfinite, lgamma, log, log1pf, logf, pow, sqrt, sqrtf, trunc,
)
from libc.stdint cimport INT32_MAX, SIZE_MAX, int16_t, int32_t, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free, malloc, qsort, realloc
from libc.string cimport memcmp, memcpy, memset

include "signals.pxi"
include "shared.pyx"
include "itemsets.pyx"
include "basket_rows.pyx"
include "rule_counts.pyx"
include "order_lines.pyx"
include "fitting.pyx"
include "networks.pyx"
include "vocabulary.pyx"
include "rules.pyx"
include "scenes.pyx"
include "ranking_signals.pyx"
include "ranking.pyx"
include "complements.pyx"
include "upgrade_signals.pyx"
include "upgrade_examples.pyx"
include "upgrades.pyx"
