"""A report in words and tables: the same texts for the terminal and for a page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import RenderableType

Report = Mapping[str, Any]

_TITLES = {
    "cross_sell": ("Cross-sell rate", "kryssalgsrate"),
    "upsell": ("Upsell rate", "oppsalgsrate"),
}
_CREDITS = {"cross_sell": "added items", "upsell": "price difference only"}
# Rate, its net twin, what it asks, what its denominator counts.
_ROWS = (
    ("customer", "net_customer", "customers who bought one", "buying customers shown one"),
    ("offer", "net_offer", "offers that converted", "offers shown"),
    ("order", "net_order", "orders with one", "orders shown one"),
    ("checkout", "net_checkout", "checkouts with one", "checkouts shown one, abandoned too"),
    ("penetration", "net_penetration", "of all customers", "buying customers, shown or not"),
    ("click_through", None, "offers clicked or added", "offers shown"),
)
_TROUBLES = (
    ("duplicates", "second purchases of one transaction, ignored"),
    ("late", "views and clicks that came after the purchase"),
    ("unmatched", "events that name an unknown offer or transaction"),
    ("bots_excluded", "facts of bots, left out"),
    ("bots_by_rate", "decisions of sessions too fast for people, among them"),
    ("unpriced", "converted lines without a known price, counted with no revenue"),
    ("other_currency", "orders in another currency, left out of the money"),
)


_KEY_WIDTH = 24


@dataclass(frozen=True, slots=True)
class Line:
    """One row: what is asked, and the answer of each kind as lines of text."""

    label: str
    cells: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class View:
    shop: str
    period: str
    settings: tuple[str, ...]
    titles: tuple[tuple[str, str], ...]
    lines: tuple[Line, ...]
    group_headers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    quality: tuple[str, ...]


def view_of(report: Report, shop: str | None) -> View:
    """Every text of the report."""
    total, currency = report["total"], report["currency"]
    kinds = tuple(total)
    level = f"{report['level'] * 100:g}%"
    return View(
        shop=shop or "All offers",
        period=f"{report['from'] or 'the beginning'} to {report['to'] or 'now'}",
        settings=_settings(report, level),
        titles=tuple(_TITLES[kind] for kind in kinds),
        lines=(*_lines(total, kinds, currency), *_comparison(report, kinds)),
        group_headers=_group_headers(report, kinds),
        groups=tuple(_group(row, kinds, currency) for row in report["groups"]),
        quality=tuple(_quality(report["quality"])),
    )


def _settings(report: Report, level: str) -> tuple[str, ...]:
    days = report["attribution_window_days"]
    return (
        f"days of {report['timezone']}",
        f"money in {report['currency']}" if report["currency"] else "no one currency, so no money",
        "shown: the offer was seen, clicked or named by a purchase"
        if report["impressions"] == "viewed"
        else "shown: every offer that was served",
        f"credited: purchases in the same checkout, or within {days} days"
        if days
        else "credited: purchases in the same checkout (window 0 days)",
        f"in brackets: {level} intervals; of effects "
        + (
            "however often you look (a confidence sequence)"
            if report["watched"]
            else "for one look at a time chosen beforehand (--watched for more)"
        ),
    )


def _lines(total: Report, kinds: Sequence[str], currency: str | None) -> Sequence[Line]:
    def line(label: str, *texts: Sequence[str]) -> Line:
        return Line(label, tuple(tuple(cell) for cell in texts))

    lines = [
        line(label, *(_rate_cell(total[kind], rate, net, counted) for kind in kinds))
        for rate, net, label, counted in _ROWS
    ]
    lines.append(line("conversions", *([_conversions(total[kind])] for kind in kinds)))
    lines.append(
        line("revenue credited", *(_revenue(total[kind], kind, currency) for kind in kinds))
    )
    lines.append(
        line("because of the offers", *(_incremental(total[kind], currency) for kind in kinds))
    )
    return lines


def _comparison(report: Report, kinds: Sequence[str]) -> Sequence[Line]:
    """What became of the headline rate and the revenue since another period, where one is asked."""
    other = report.get("comparison")
    if other is None:
        return ()
    cells: list[tuple[str, ...]] = []
    for kind in kinds:
        change, before = other["change"][kind], other["total"][kind]
        rate = change["customer"]
        cells.append(
            (
                f"{points(rate['value'])} points"
                f" [{points(rate['lower'])} to {points(rate['upper'])}],"
                f" from {percent(before['customer']['value'])}",
                f"revenue {amount(change['revenue'], report['currency'], sign=True)}",
            )
        )
    return (Line(f"against {other['from']} to {other['to']}", tuple(cells)),)


def _rate_cell(measured: Report, rate: str, net: str | None, counted: str) -> list[str]:
    entry = measured[rate]
    if entry["value"] is None:
        return ["no data", f"0 {counted}"]
    cell = [
        f"{percent(entry['value'])} {_interval(entry)}",
        f"{count(entry['numerator'])} of {count(entry['denominator'])} {counted}",
    ]
    if net is not None:
        kept = measured[net]
        cell.append(f"net of returns {percent(kept['value'])} ({count(kept['numerator'])})")
    return cell


def _conversions(measured: Report) -> str:
    conversions = measured["conversions"]
    return (
        f"{count(conversions['total'])}: {count(conversions['accepted_click'])} after a click,"
        f" {count(conversions['view_through'])} after a view alone"
    )


def _revenue(measured: Report, kind: str, currency: str | None) -> list[str]:
    return [
        f"{amount(measured['revenue'], currency)} ({_CREDITS[kind]})",
        f"net of returns {amount(measured['net_revenue'], currency)}",
    ]


def _incremental(measured: Report, currency: str | None) -> list[str]:
    """A plain sentence, then the effect and what it is worth."""
    entry = measured["incremental"]
    treatment, control = entry["treatment"], entry["control"]
    if entry["status"] == "no_data":
        return [f"not known: {entry['reason']}"]
    if entry["status"] == "blocked":
        return [f"blocked: {entry['reason']}"]
    cell = [
        f"{percent(treatment['value'])} converted;"
        f" {percent(control['value'])} would have bought it anyway",
        f"{points(entry['value'])} points [{_bounds(entry)}],"
        f" {count(treatment['denominator'])} checkouts with and"
        f" {count(control['denominator'])} without offers",
    ]
    money = entry["revenue_per_checkout"]
    if money["value"] is not None:
        text = f"{amount(money['value'], currency, sign=True)} a checkout"
        if money["lower"] is not None:
            low, high = (amount(money[end], None, sign=True) for end in ("lower", "upper"))
            text += f" [{low} to {high}]"
        cell.append(text)
    cuped = money.get("cuped")
    if cuped is not None and cuped["value"] is None:
        cell.append(f"adjusted by earlier spend: {cuped['reason']}")
    elif cuped is not None:
        low, high = (amount(cuped[end], None, sign=True) for end in ("lower", "upper"))
        cell.append(
            f"{amount(cuped['value'], currency, sign=True)} [{low} to {high}] adjusted by what"
            f" {count(cuped['units_with_history'])} units spent before"
        )
    completion = entry["completion"]
    cell.append(f"completed checkouts {points(completion['value'])} points [{_bounds(completion)}]")
    return cell


def _bounds(entry: Report) -> str:
    """Of an effect: as wide as customers who return make it."""
    bounds = entry.get("clustered") or entry
    return f"{points(bounds['lower'])} to {points(bounds['upper'])}"


def _group_headers(report: Report, kinds: Sequence[str]) -> tuple[str, ...]:
    if not report["groups"]:
        return ()
    headers = list(report["groups"][0]["key"])
    for kind in kinds:
        headers += [_TITLES[kind][0], "of", "revenue"]
    return tuple(headers)


def _group(row: Report, kinds: Sequence[str], currency: str | None) -> tuple[str, ...]:
    cells = [str(text) for text in row["key"].values()]
    for kind in kinds:
        entry = row[kind]["customer"]
        known = entry["value"] is not None
        cells += [
            f"{percent(entry['value'])} {_interval(entry)}" if known else "no data",
            f"{count(entry['numerator'])} of {count(entry['denominator'])}",
            amount(row[kind]["revenue"], currency),
        ]
    return tuple(cells)


def _quality(quality: Report) -> Sequence[str]:
    notes = [f"{count(quality[name])} {words}" for name, words in _TROUBLES if quality[name]]
    if quality["currency"] != "ok":
        notes.append(f"currency {quality['currency']}")
    p_value = quality["srm_p_value"]
    if p_value is not None and p_value < 0.001:
        notes.append(f"the arms are not as drawn (p = {p_value:.1g}): no effect can be told")
    return notes or ["nothing amiss"]


def percent(share: float | None) -> str:
    return "–" if share is None else f"{share * 100:.1f}%"


def points(difference: float | None) -> str:
    # Adding zero takes the sign off a rounded zero.
    return "–" if difference is None else f"{round(difference * 100, 1) + 0.0:+.1f}"


def count(number: int) -> str:
    return f"{number:,}"


def amount(text: str | None, currency: str | None, *, sign: bool = False) -> str:
    if text is None:
        return "–"
    return f"{Decimal(text):{'+' if sign else ''},f} {currency or ''}".rstrip()


def _interval(entry: Report) -> str:
    return f"[{percent(entry['lower'])} to {percent(entry['upper'])}]"


def terminal_parts(view: View) -> Sequence[RenderableType]:
    """What Rich prints, from top to bottom; ids are never read as markup."""
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = [
        Text.assemble((view.shop, "bold"), "  ", view.period),
        Text(" · ".join(view.settings), "dim"),
    ]
    rates = Table(show_lines=True)
    rates.add_column("")
    for title, norwegian in view.titles:
        rates.add_column(Text.assemble((title, "bold"), "\n", (norwegian, "dim")))
    for line in view.lines:
        cells = [Text("\n").join(Text(text) for text in cell) for cell in line.cells]
        if line is view.lines[0]:
            for cell in cells:
                cell.stylize("bold green", 0, len(cell.plain.partition(" ")[0]))
        rates.add_row(Text(line.label), *cells)
    parts.append(rates)
    if view.groups:
        groups = Table()
        n_keys = len(view.group_headers) - 3 * len(view.titles)
        for place, header in enumerate(view.group_headers):
            widest = max(len(row[place]) for row in view.groups)
            # Ids and days are what rows are told apart by: never cut, seldom broken.
            least = min(widest, _KEY_WIDTH) if place < n_keys else None
            groups.add_column(Text(header), overflow="fold", min_width=least)
        for row in view.groups:
            groups.add_row(*(Text(cell) for cell in row))
        parts.append(groups)
    parts.append(Text(f"Facts: {'; '.join(view.quality)}", "dim"))
    return parts


def page_of(view: View) -> str:
    """One HTML page that needs nothing else; every text is escaped."""
    from pathlib import Path

    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(view=view)
