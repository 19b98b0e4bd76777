"""Charts as SVG made on the server: they need no script, and work under any content policy.

Widths and positions are attributes in percent, so that a chart fills its place at every width while
its text keeps its size; colours are classes of the style sheet. Numbers are given beside every
chart or in a table below it: marks carry a `<title>` for a pointer, and nothing else is only there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

_PLOT_TOP, _PLOT_HEIGHT = 24, 240
_SPARK_HEIGHT = 40
_OFTEN_LEFT_OUT = ' class="wide"'
"""Of every second name of an axis: there is no room for all on a narrow screen."""

COLOURS = {"cross_sell": "k-cross", "upsell": "k-up", "control": "k-control"}
"""Class of the style sheet for each kind, and for checkouts without offers."""


@dataclass(frozen=True, slots=True)
class Scale:
    """Numbers from `low` to `high` as positions from 0% to 100%."""

    low: float
    high: float

    @classmethod
    def of(cls, numbers: Iterable[float | None], *, with_zero: bool = True) -> Scale:
        """Return a scale with all numbers and a little room at its ends."""
        values = [number for number in numbers if number is not None] + [0.0] * with_zero
        low, high = min(values, default=0.0), max(values, default=0.0)
        room = (high - low) * 0.04 or 1.0
        return cls(low - room * (low < 0), high + room * (high > 0 or low == high))

    def at(self, number: float) -> str:
        """Return where a number is, such as `12.5%`."""
        return f"{100 * self.part(number):.4g}%"

    def part(self, number: float) -> float:
        """Return where a number is, from 0 to 1; numbers beyond the ends are at the ends."""
        return min(1.0, max(0.0, (number - self.low) / (self.high - self.low)))

    def ticks(self) -> Sequence[float]:
        """Return about four round numbers on the scale."""
        rough = (self.high - self.low) / 4
        unit = 10.0 ** math.floor(math.log10(rough))
        step = next(each * unit for each in (1, 2, 2.5, 5, 10) if each * unit >= rough * 0.999)
        first = math.ceil(self.low / step - 1e-9)
        last = math.floor(self.high / step + 1e-9)
        return [round(number * step, 12) for number in range(first, last + 1)]


@dataclass(frozen=True, slots=True)
class Series:
    """One line of a chart: for each bucket its value between bounds, None where there is none."""

    colour: str
    values: Sequence[float | None]
    lower: Sequence[float | None]
    upper: Sequence[float | None]


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that occurred: its letter, where from and until (in buckets), and what it was."""

    letter: str
    begin: float
    end: float | None
    text: str
    day: str = ""


def whisker(
    value: float, lower: float, upper: float, scale: Scale, colour: str, title: str = ""
) -> Markup:
    """Return a dot with its interval, over a line at zero."""
    zero = ""
    if scale.low <= 0 <= scale.high:
        zero = f'<line class="zero" x1="{scale.at(0)}" x2="{scale.at(0)}" y1="0" y2="100%"/>'
    return _svg(
        f'{zero}<line class="whisk" x1="{scale.at(lower)}" x2="{scale.at(upper)}"'
        f' y1="50%" y2="50%"/><circle class="dot" cx="{scale.at(value)}" cy="50%" r="4.5"/>',
        colour,
        title,
    )


def bars(shares: Sequence[tuple[float, str]]) -> Markup:
    """Return bars of shares from 0 to 1 and their colours, one below the other, the first thick."""
    drawn, y = "", 1
    for at, (share, colour) in enumerate(shares):
        height = 5 if at else 12
        drawn += (
            f'<rect class="bar {colour}" y="{y}" width="{100 * share:.4g}%" height="{height}"/>'
        )
        y += height + 2
    return _svg(drawn)


def sparkline(series: Series, label: str) -> Markup:
    """Return a small line with its band and a dot at its end.

    It is empty where fewer than two values are known.
    """
    values = [each for each in series.values if each is not None]
    if len(values) < 2:
        return Markup()
    scale = Scale.of([*series.lower, *series.upper], with_zero=False)
    last = len(series.values) - 1

    def height(number: float) -> float:
        return _SPARK_HEIGHT * (1 - scale.part(number))

    drawn = (
        f'<svg viewBox="0 0 100 {_SPARK_HEIGHT}" preserveAspectRatio="none">'
        f"{_line(series, lambda at: 100 * at / last, height)}</svg>"
    )
    value = series.values[last]
    if value is not None:
        y = 100 * (1 - scale.part(value))
        drawn += f'<circle class="dot" cx="100%" cy="{y:.4g}%" r="3.5"/>'
    return Markup(  # noqa: S704
        f'<svg class="{series.colour}" role="img" aria-label="{escape(label)}">{drawn}</svg>'
    )


def band_chart(
    series: Sequence[Series],
    names: Sequence[str],
    titles: Sequence[str],
    marks: Sequence[Mark] = (),
    label: str = "",
    tick_text: Callable[[float], str] = str,
) -> Markup:
    """Return lines with bands over buckets of time, marked where something occurred.

    `names` are those of the buckets, and `titles` their numbers as text, shown while a pointer is
    over one. `label` says what the chart shows to those who cannot see it.
    """
    n = max(1, len(names))
    scale = Scale.of([0.0, *(each for line in series for each in line.upper)])
    ticks = [each for each in scale.ticks() if each >= 0]
    top = max([scale.high, *ticks])
    scale = Scale(0.0, top)

    def height(number: float) -> float:
        return _PLOT_HEIGHT * (1 - scale.part(number))

    axis = "".join(
        f'<text x="0" y="{_PLOT_TOP + height(tick) + 4:.4g}">{escape(tick_text(tick))}</text>'
        for tick in ticks
    )
    bottom = _PLOT_TOP + _PLOT_HEIGHT
    plot = "".join(
        f'<line class="gridline" x1="0" x2="100%" y1="{y}" y2="{y}"/>'
        for y in (f"{_PLOT_TOP + height(tick):.4g}" for tick in ticks)
    )
    plot += "".join(_flag(mark, n, bottom) for mark in marks)
    lines = "".join(
        f'<g class="{each.colour}">{_line(each, lambda at: at + 0.5, height)}</g>'
        for each in series
    )
    plot += (
        f'<svg y="{_PLOT_TOP}" width="100%" height="{_PLOT_HEIGHT}"'
        f' viewBox="0 0 {n} {_PLOT_HEIGHT}" preserveAspectRatio="none">{lines}</svg>'
        f'<line class="cursor" visibility="hidden" y1="{_PLOT_TOP}" y2="{bottom}"/>'
    )
    for index, at in enumerate(range(0, len(names), math.ceil(n / 6))):
        anchor, x = ("start", 0.0) if at == 0 else ("middle", 100 * (at + 0.5) / n)
        if at == n - 1 and at:
            anchor, x = "end", 100.0
        plot += (
            f'<text x="{x:.4g}%" y="{bottom + 18}" text-anchor="{anchor}"'
            f"{_OFTEN_LEFT_OUT * (index % 2)}>{escape(names[at])}</text>"
        )
    plot += "".join(
        f'<rect class="hit" x="{100 * at / n:.4g}%" width="{100 / n:.4g}%" y="{_PLOT_TOP}"'
        f' height="{_PLOT_HEIGHT}"><title>{escape(title)}</title></rect>'
        for at, title in enumerate(titles)
    )
    return Markup(  # noqa: S704
        f'<svg aria-hidden="true">{axis}</svg>'
        f'<div class="plot" tabindex="0" role="img" aria-label="{escape(label)}">'
        f"<svg>{plot}</svg></div>"
    )


def _flag(mark: Mark, n: int, bottom: int) -> str:
    """Return the flag of one mark over `n` buckets."""
    begin, shade = 100 * mark.begin / n, ""
    if mark.end is not None:
        width = max(0.4, 100 * mark.end / n - begin)
        shade = (
            f'<rect class="pause" x="{begin:.4g}%" width="{width:.4g}%"'
            f' y="{_PLOT_TOP}" height="{_PLOT_HEIGHT}"/>'
        )
    return (
        f'{shade}<line class="mark" x1="{begin:.4g}%" x2="{begin:.4g}%" y1="18" y2="{bottom}"/>'
        f'<svg x="{begin:.4g}%" y="0" class="at"><title>{escape(mark.text)}</title>'
        '<rect class="flag" x="-9" width="18" height="18" rx="3"/>'
        f'<text class="flag-text" y="13">{escape(mark.letter)}</text></svg>'
    )


def _line(series: Series, across: Callable[[int], float], height: Callable[[float], float]) -> str:
    """Return a band and its line; buckets without a value part them."""
    drawn = ""
    for run in _runs(series):
        points = [
            (across(at), height(low), height(value), height(high)) for at, low, value, high in run
        ]
        if len(points) == 1:  # a bucket alone is a short line, else nothing would be seen
            x, low, value, high = points[0]
            points = [(x - 0.25, low, value, high), (x + 0.25, low, value, high)]
        upper = "L".join(f"{x:.4g} {high:.4g}" for x, _, _, high in points)
        lower = "L".join(f"{x:.4g} {low:.4g}" for x, low, _, _ in reversed(points))
        middle = "L".join(f"{x:.4g} {value:.4g}" for x, _, value, _ in points)
        drawn += f'<path class="band" d="M{upper}L{lower}z"/><path class="line" d="M{middle}"/>'
    return drawn


def _runs(series: Series) -> list[list[tuple[int, float, float, float]]]:
    """Return place, lower bound, value and upper bound, buckets that follow each other together."""
    runs: list[list[tuple[int, float, float, float]]] = []
    for at, each in enumerate(zip(series.lower, series.values, series.upper, strict=True)):
        low, value, high = each
        if low is None or value is None or high is None:
            continue
        if not runs or runs[-1][-1][0] != at - 1:
            runs.append([])
        runs[-1].append((at, low, value, high))
    return runs


def _svg(drawn: str, colour: str = "", title: str = "") -> Markup:
    named = f"<title>{escape(title)}</title>" if title else ""
    of_class = f' class="{colour}"' if colour else ""
    return Markup(f'<svg{of_class} aria-hidden="true">{named}{drawn}</svg>')  # noqa: S704
