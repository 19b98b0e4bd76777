"""Refuses files that are no baskets a line and would be mined as nonsense."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mersalg.engine.errors import DataError
from mersalg.engine.vocabulary import StringTable
from mersalg.training.keys import MISSING, Codes

_LOOKED_AT = 1_000
"""Lines from the beginning by which a file is known."""
_FLAGS = frozenset("true false t f yes no y n ja nei 0 1 0.0 1.0 ? x".split())
_HEADER = re.compile(
    r"((line|stock|product|item|order|member|customer|transaction|invoice|basket) ?)*"
    r"(items?|products?|produkt(er)?|varer?|articles?|artikler|artikkel|sku|baskets?|handlekurv"
    r"|transactions?|orders?|ordre|invoices?|customers?|kunde|members?|date|dato|time|quantity|antall"
    r"|price|pris|description|code|tid|id|no|nr|number|name|count|status)"
    r"( ?\(s\))?( ?(id|no|nr|number|code|name|description|\d+))?"
)
_LINES = "write one basket a line, or a table with the columns order_id and item_id"


@dataclass(frozen=True, slots=True)
class _Beginning:
    """The labels of the first lines: one a place, its line, and the texts they are."""

    places: NDArray[np.int64]
    lines: NDArray[np.int64]
    texts: list[str]

    def share(self, pattern: str) -> float:
        """Return the share of the lines that hold a label in which the pattern is found."""
        found = np.array([re.search(pattern, text) is not None for text in self.texts])
        return self._share(found[self.places])

    def _share(self, hits: NDArray[np.bool_]) -> float:
        return len(np.unique(self.lines[hits])) / max(len(np.unique(self.lines)), 1)

    def repeats_flags(self) -> bool:
        """Return whether most labels below the first line are flags, several of one in a line."""
        flags = np.array([text.strip().casefold() in _FLAGS for text in self.texts])
        below = self.lines > self.lines.min(initial=0)
        flagged = flags[self.places] & below
        pairs = np.stack((self.lines[flagged], self.places[flagged]))
        repeated = pairs.shape[1] > np.unique(pairs, axis=1).shape[1]
        in_lines = len(np.unique(self.lines[flagged]))
        return repeated and in_lines > 1 and 2 * flagged.sum() > below.sum()

    def comment(self) -> str | None:
        """Return the sign that begins some lines and no other label."""
        first = np.append(True, np.diff(self.lines) > 0)[: len(self.lines)]
        for sign in "#%":
            begins = np.array([text.lstrip().startswith(sign) for text in self.texts])[self.places]
            if begins.any() and not begins[~first].any() and not begins[first].all():
                return sign
        return None

    def header(self) -> str | None:
        """Return a label of the first line alone that is the name of a column."""
        first = self.lines == self.lines.min(initial=0)
        if first.all():
            return None
        alone = np.setdiff1d(self.places[first], self.places[~first])
        names = [re.sub(r"[\s_-]+", " ", self.texts[place].strip().casefold()) for place in alone]
        return next((name for name in names if _HEADER.fullmatch(name)), None)


def refuse_other_files(
    path: Path, codes: Codes, lines: NDArray[np.int64], items: StringTable, *, quoted: bool
) -> None:
    """Look at the first lines of a file that was read as one basket a line.

    Parameters
    ----------
    codes : int32 (n_labels,)
        Positions in `items`, MISSING where a label is blank.
    lines : int64 (n_labels,)
        Ascending.
    quoted
        Whether its labels are separated by commas and not by white space.

    Raises
    ------
    DataError
        They are of another kind of file.
    """
    end = int(np.searchsorted(lines, lines[0] + _LOOKED_AT)) if len(lines) else 0
    named = codes[:end] != MISSING
    used, places = np.unique(codes[:end][named], return_inverse=True)
    begin = _Beginning(places, lines[:end][named], [items[code] for code in used.tolist()])
    if not len(places):
        return
    marks = r";|\||\t" if quoted else r"[,;|]"
    header, comment = begin.header(), begin.comment()
    for wrong, message in (
        (begin.share(r"^@[A-Z_]+=?|^@(relation|attribute|data)") > 0, "lines that begin with @ are"
         " of SPMF or ARFF: remove them, and give items their names"),
        (comment is not None, f"lines that begin with {comment} are no baskets: remove them"),
        (begin.share(r"^-[12]$") > 0.5, "-1 and -2 part the events of a sequence (SPMF):"
         f" {_LINES}"),
        (not quoted and begin.share(r":-?\d+(\.\d+)?(:|$)") > 0.5, "the items have utilities"
         f" (SPMF): {_LINES}"),
        (begin.share(r"^\s*</?[A-Za-z?!]") > 0.5, f"this is markup such as XML: {_LINES}"),
        (begin.repeats_flags(), "this is a table with a column for each item, which says where it"
         f" was bought: {_LINES}"),
        (header is not None, f"the first line is a header ({header!r}): remove it and what is no"
         " item, or name two columns order_id and item_id"),
        (begin.share(r"^\s*([\[{(]['\"]|[\[{][^\]}]*$)") > 0.5, "these are lists or"
         f" objects of a program: {_LINES}"),
        (not quoted and begin.share(marks) > 0.5, "items are separated by white space in a .dat"
         " or .basket file: write spaces, or save it as .csv with commas"),
        (quoted and begin.share(rf"({marks})\s*-?\d+$") > 0.5 and begin.share(r"^\d") > 0.5,
         "the cells are separated by semicolons and numbers have a decimal comma: write a table"
         " with the columns order_id and item_id, separated by commas"),
    ):  # fmt: skip
        if wrong:
            raise DataError(message, file=str(path), row=1)
