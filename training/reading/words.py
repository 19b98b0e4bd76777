"""The words that exports of shops write into cells, in the languages of their headers."""

from __future__ import annotations

import pyarrow as pa

from mersalg.engine.words import read_toml
from mersalg.training.reading.arrow import pc


def as_words(texts: pa.Array) -> pa.Array:
    """Return words as `words.toml` has them: `wc-on_hold`, `On hold` are `on hold`."""
    words = pc.utf8_trim(pc.utf8_lower(texts), " \t\n\r\u00a0.!")
    words = pc.replace_substring_regex(words, r"(\pL)[\s_-]+", r"\1 ")
    return pc.replace_substring_regex(words, r"^(wc |https?://schema\.org/)", "")


_CELLS = read_toml("mersalg.training")["cells"]
NOBODY = frozenset(read_toml("mersalg.engine")["customers"]["nobody"])
RETURNED = frozenset(_CELLS["returned"])
UNDONE = frozenset(_CELLS["undone"])
YES, NO = frozenset(_CELLS["yes"]), frozenset(_CELLS["no"])
"""In stock or active, and not."""
