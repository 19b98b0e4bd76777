"""The texts of a report, or of a summary, on a terminal of any width.

Lines are broken at spaces alone: the figures of a number and its sign or currency are joined by
spaces that do not break, which Rich's own tables would break at.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import TYPE_CHECKING

from mersalg.serving.presentation.glossary import glossary_of

if TYPE_CHECKING:
    from rich.text import Text

    from mersalg.serving.presentation.texts import ReportText
    from mersalg.serving.presentation.weekly import Weekly

_GAP = "  "
_LABEL_WIDTH = 24
_MIN_CELL = 26
"""Narrower columns of the two kinds are put below each other."""


def terminal_lines(view: ReportText, width: int) -> Iterator[Text]:
    """Yield what a terminal of `width` columns shows; ids are never read as markup.

    A word that is wider than the terminal, such as a long id, is the only thing that is.
    """
    from rich.text import Text

    def wrapped(text: str, style: str = "") -> Iterator[Text]:
        return (Text(line, style) for line in _wrap(text, width))

    yield from wrapped(f"{view.shop}  {view.period}", "bold")
    yield from wrapped(" · ".join(view.settings), "dim")
    yield Text()
    yield from wrapped(view.verdict.say, "bold")
    yield from wrapped(view.verdict.why)
    beside = range(len(view.kinds))
    label = min(_LABEL_WIDTH, width // 3)
    cell = (width - label) // max(1, len(beside)) - len(_GAP)
    for places in [beside] if cell >= _MIN_CELL else [[column] for column in beside]:
        yield Text()
        widths = [label, *[(width - label) // len(places) - len(_GAP)] * len(places)]
        titles = [[view.kinds[at].term.name, view.kinds[at].translation] for at in places]
        yield from (Text(line, "bold") for line in _beside([[""], *titles], widths))
        for at, (name, cells) in enumerate(view.rows):
            yield Text("─" * width, "dim")
            lines = _beside([[name], *(cells[column] for column in places)], widths)
            yield from (Text(line, "" if at or n else "bold green") for n, line in enumerate(lines))
    if view.groups:
        yield Text()
        yield from _groups(view, width)
    yield Text()
    title = view.glossary.phrase("data_quality")
    yield from wrapped(f"{title}: {'; '.join(view.notes)}", "dim")


def weekly_lines(weekly: Weekly, width: int) -> Iterator[Text]:
    """Yield the summary of a week as text, in the order of its HTML."""
    from rich.text import Text

    def wrapped(text: str, style: str = "", indent: str = "") -> Iterator[Text]:
        lines = _wrap(text, width - len(indent))
        return (Text(indent + line, style) for line in lines)

    words = glossary_of(weekly.language).phrase
    yield from wrapped(weekly.title, "dim")
    yield from wrapped(weekly.verdict.say, "bold")
    yield from wrapped(weekly.verdict.why)
    yield from wrapped(weekly.recent)
    for title, blocks in weekly.sections:
        yield Text()
        yield from wrapped(title, "bold underline")
        for block in blocks:
            state = f" ({words(f'state_{block.state}')})" if block.state else ""
            yield from wrapped(f"{block.name}{state}", "bold")
            for line in block.lines:
                yield from wrapped(line, indent=_GAP)
    for line in weekly.foot:
        yield Text()
        yield from wrapped(line, "dim")


def _groups(view: ReportText, width: int) -> Iterator[Text]:
    """Yield a line for each kind of each group, below its key where both do not fit beside it."""
    from rich.text import Text

    n_keys = view.n_group_keys
    rows = [(_GAP.join(row[:n_keys]), row[n_keys:]) for row in (view.group_headers, *view.groups)]
    widths = [
        max(map(_width, column)) for column in zip(*(cells for _, cells in rows), strict=True)
    ]
    key_width = max(_width(key) for key, _ in rows)
    rest = sum(widths) + len(_GAP) * len(widths)
    before = None
    for at, (key, cells) in enumerate(rows):
        style = "" if at else "bold"
        line = _GAP.join(map(_padded, cells, widths)).rstrip()
        if key_width + rest <= width:
            yield Text(_padded("" if key == before else key, key_width) + _GAP + line, style)
        else:
            if key != before:
                yield from (Text(each, "bold") for each in _wrap(key, width))
            narrow = _wrap(_GAP.join(cells), width - 2 * len(_GAP))
            lines = [line] if rest <= width else narrow
            yield from (Text(_GAP + line, style) for line in lines)
        before = key


def _beside(cells: Sequence[Iterable[str]], widths: Sequence[int]) -> list[str]:
    """Return the lines of cells that are beside each other, each wrapped to its width."""
    columns = [
        [line for text in cell for line in _wrap(text, width)]
        for cell, width in zip(cells, widths, strict=True)
    ]
    return [
        _GAP.join(map(_padded, line, widths)).rstrip()
        for line in zip_longest(*columns, fillvalue="")
    ]


def _wrap(text: str, width: int) -> list[str]:
    return textwrap.wrap(text, width, break_long_words=False, break_on_hyphens=False)


def _width(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)


def _padded(text: str, width: int) -> str:
    return text + " " * (width - _width(text))
