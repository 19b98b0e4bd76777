"""Settings that the cells of order and catalogue files show, and questions that they leave."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from mersalg.engine import clock
from mersalg.engine.errors import DataError
from mersalg.engine.money import is_currency
from mersalg.training.init.settings import NONE, Draft, Setting
from mersalg.training.reading.arrow import pc
from mersalg.training.reading.keys import MISSING, read_keys
from mersalg.training.reading.moments import forms_of, read_moments
from mersalg.training.reading.numbers import Marks, Numbers, decimal_mark, read_numbers
from mersalg.training.reading.order_rows import UNDONE, words_of
from mersalg.training.reading.sources import AmbiguousColumn, columns_of
from mersalg.training.reading.survey import Survey, names

NUMBERS = ("quantity", "unit_price", "line_total", "discount", "amount_refunded", "price", "cost")
_STRAY = 0.01
"""Share of cells that may be unreadable."""
_MANY = 8
"""Times the shortest span of dates beyond which another reading is none."""


def _read(file: Survey, column: str, mark: str, currency: str = "") -> Numbers:
    return read_numbers(file.source, column, Marks(mark, None, firm=True), currency=currency)


def _numbers(file: Survey, column: str) -> Numbers:
    """Return the numbers of a column by the decimal mark that reads more."""
    return min((_read(file, column, mark) for mark in ".,"), key=lambda each: each.bad.sum())


def are_numbers(file: Survey, column: str) -> bool:
    """Return whether most of what a column holds are numbers."""
    numbers = _numbers(file, column)
    return bool(2 * numbers.bad.sum() < (~numbers.missing).sum())


def find_decimals(draft: Draft, section: str, file: Survey, usual: str) -> None:
    """Find the decimal mark of each column of numbers; ask where a column can be read both ways."""
    key = f"{section}.decimal"
    if key in draft.given:
        return
    marks: dict[str, str] = {}
    unclear: dict[str, tuple[str, AmbiguousColumn]] = {}
    for name in NUMBERS:
        if f"{key}.{name}" in draft.settings:
            marks[name] = draft.settings.pop(f"{key}.{name}").value
        elif column := draft.value(f"{section}.columns.{name}"):
            try:
                if mark := decimal_mark(file.source, column):
                    marks[name] = mark
            except AmbiguousColumn as error:
                unclear[name] = column, error
    answers: list[Setting] = []
    for name, (column, error) in unclear.items():
        likeliest = next(iter(marks.values()), usual)
        if name == "quantity":
            # More is bought by the kilo than by the thousand.
            likeliest = (
                "," if "," in file.source.column(column).dictionary[error.text].as_py() else "."
            )
        text = f"Decimal mark of {column!r} in {file.path.name}"
        why = f"{column!r}: {error}"
        answers.append(draft.asked(f"{key}.{name}", text, likeliest, why, (".", ",")))
        marks[name] = answers[-1].value
    if marks:
        value = next(iter(marks.values())) if len({*marks.values()}) == 1 else marks
        why = "; ".join(answer.why for answer in answers) or "by the numbers"
        draft.set(key, value, why, guessed=any(answer.guessed for answer in answers))


def find_amounts(draft: Draft, file: Survey) -> None:
    """Find whether a column such as `Price` is of a unit, a line or an order, by its numbers."""
    unit, line = "orders.columns.unit_price", "orders.columns.line_total"
    for column in file.candidates("orders", "amount"):
        used = column in draft.used_columns("orders")
        if draft.value(unit) or used or not are_numbers(file, column):
            continue
        rows = _lines(draft, file, column)
        several = rows.groupby("order").nunique()
        several = several[several["item"] > 1]
        if len(several) >= 5 and (several["amount"] == 1).all():
            continue  # It is of the whole order.
        by_item = rows.groupby("item")
        varied = by_item["units"].nunique() > 1
        spread, each = (
            float((by_item[name].std() / by_item[name].mean().abs())[varied].median())
            for name in ("amount", "each")
        )
        if (rows["units"] == 1).all() or draft.value(line):
            draft.set(unit, column, "a unit's: each line is of one, or has another total")
        elif abs(spread - each) > 0.1:
            is_line = spread > each
            why = "it grows with the quantity" if is_line else "the quantity does not change it"
            draft.set(line if is_line else unit, column, why)
        else:
            setting = draft.asked(
                "orders.columns.amount",
                f"Is {column!r} the price of one unit or the total of a line?",
                "unit_price",
                "the numbers do not say whether it is of a unit or of a line",
                ("unit_price", "line_total"),
            )
            key = f"orders.columns.{setting.value}"
            draft.set(key, column, setting.why, guessed=setting.guessed)


def _lines(draft: Draft, file: Survey, column: str) -> pd.DataFrame:
    """Return order, item, amount, units and amount of each unit of the lines that were bought."""
    orders, items = (
        read_keys(file.source, columns_of(draft.value(f"orders.columns.{name}"))).codes
        for name in ("order_id", "item_id")
    )
    quantity = draft.value("orders.columns.quantity")
    units = _numbers(file, quantity).values if quantity else np.ones(len(orders))
    amounts = _numbers(file, column).values
    rows = pd.DataFrame({"order": orders, "item": items, "amount": amounts, "units": units})
    rows = rows[(orders != MISSING) & (items != MISSING) & (units > 0)].dropna()
    return rows.assign(each=rows["amount"] / rows["units"])


def ask_discount(draft: Draft, file: Survey) -> None:
    """Ask whether a column called discount is money off each line; systems' own exports say so."""
    key = "orders.columns.discount"
    if key in draft.settings and key not in draft.given and not file.export:
        column = draft.settings.pop(key).value
        text = f"Is {column!r} money off each line, neither per cent nor off the whole order?"
        draft.choose(key, text, column, "by its name", (column, NONE))


def join_time(draft: Draft, file: Survey) -> None:
    """Put a column of times beside one of dates that have none."""
    key = "orders.columns.ordered_at"
    date, times = draft.value(key), file.candidates("orders", "time")
    if not isinstance(date, str) or not times or any(":" in text for text in file.texts(date)):
        return
    if all(":" in text for text in file.texts(times[0])):
        draft.set(key, [date, times[0]], "a date, and a time")


def find_currency(draft: Draft, files: Mapping[str, Survey], language: str) -> None:
    """Find the currency that a column, the headers or the prices name; else ask."""
    key, text = "shop.currency", "Currency of the prices (ISO 4217)"
    if key in draft.given:
        return
    usual = names()["languages"][language]["currency"]
    if column := draft.value("orders.columns.currency"):
        keys = read_keys(files["orders"].source, (column,))
        codes = pc.utf8_upper(pc.utf8_trim_whitespace(keys.texts))
        stated = Counter(keys.by_key(codes, "")[keys.codes != MISSING].tolist())
        most = max(stated, key=stated.__getitem__)
        if len(stated) == 1 and is_currency(most):
            draft.set(key, most, f"column {column!r}")
        else:
            why = f"column {column!r} names {', '.join(stated)}; lines in others are left out"
            likeliest = most if is_currency(most) else usual
            draft.choose(key, text, likeliest, why, means=str.upper)
    else:
        columns = _price_columns(draft, files)
        named = (file.headers[column].currency for file, column in columns)
        may = {currency for currency in named if currency is not None}
        may = may or {
            code
            for code in names()["currencies"]["codes"]
            if any(_read(file, column, ".", code).own.any() for file, column in columns)
        }
        if len(may) == 1:
            draft.set(key, may.pop(), "named beside the prices")
        else:
            why = f"the prices may be in {', '.join(sorted(may))}" if may else _follows(language)
            likeliest = usual if usual in may or not may else min(may)
            draft.choose(key, text, likeliest, why, means=str.upper)


def find_habits(draft: Draft, language: str) -> None:
    """Ask for time zone and locale."""
    usual, why = names()["languages"][language], _follows(language)
    currency = draft.value("shop.currency")
    zone = names()["timezones"].get(currency) if language == "en" else None
    # English headers are found everywhere: many a currency says more.
    reason = f"money in {currency} is taken to say where the shop is" if zone else why
    text = "Time zone of the orders (IANA name)"
    draft.choose("shop.timezone", text, zone or usual["timezone"], reason)
    draft.choose("shop.locale", "Language of offer texts", usual["locale"], why, ("en", "nb"))


def _follows(language: str) -> str:
    return f"the language of the headers, {language}, is taken for the shop's"


def _price_columns(draft: Draft, files: Mapping[str, Survey]) -> list[tuple[Survey, str]]:
    return [
        (file, column)
        for section, file in files.items()
        for name in ("unit_price", "line_total", "price")
        if (column := draft.value(f"{section}.columns.{name}"))
    ]


def find_tax(draft: Draft, files: Mapping[str, Survey]) -> None:
    """Find whether prices include tax where their headers say so."""
    said = {file.headers[column].with_tax for file, column in _price_columns(draft, files)} - {None}
    key, why = "shop.prices_include_tax", "the names of price columns say so"
    if len(said) == 1:
        draft.set(key, said.pop(), why)
    elif said:
        why = "some price columns are with tax, some without"
        text = "Do the prices include tax?"
        draft.choose(key, text, "yes", why, ("yes", "no"), means="yes".__eq__)


def find_dates(draft: Draft, file: Survey) -> None:
    """Find how dates are written; ask where day and month may be either."""
    columns, key = columns_of(draft.value("orders.columns.ordered_at")), "orders.date_format"
    texts = [next(iter(file.texts(name)), "") for name in columns]
    if not columns or key in draft.given or not all(isinstance(text, str) for text in texts):
        return
    text = " ".join(each.strip() for each in texts)
    read = {form: _read_dates(draft, file, columns, form) for form in forms_of(text)}
    spans = {form: span for form, (unread, span) in read.items() if unread <= _STRAY}
    shortest = min(spans, key=spans.__getitem__, default="")
    # Days taken for years are years apart.
    spans = {
        form: span
        for form, span in spans.items()
        if span <= _MANY * spans[shortest] or form.startswith("%y") == shortest.startswith("%y")
    }
    if len(spans) == 1:
        draft.set(key, next(iter(spans)), f"{text!r}: no other form fits")
    elif spans:
        american = draft.value("shop.currency") == "USD"
        # In the wrong order a few weeks become a year.
        likeliest = min(
            spans,
            key=lambda form: (spans[form] > 2 * spans[shortest], form.startswith("%m") != american),
        )
        why = f"{text!r} may begin with the day or the month, and no date says which"
        draft.choose(key, "Form of the dates", likeliest, why, spans)
    elif _read_dates(draft, file, columns, None)[0] > _STRAY:
        why = f"{text!r} is not understood"
        draft.choose(key, "Form of the dates (strftime, excel or unix)", None, why)


def _read_dates(
    draft: Draft, file: Survey, columns: Sequence[str], form: str | None
) -> tuple[float, int]:
    """Return the share of dates that are none, or not yet, when read by a form, and their span."""
    try:
        moments = read_moments(file.source, columns, form, draft.value("shop.timezone"))
    except DataError:
        return 1.0, 0
    unread = moments.bad | (moments.micros > clock.now() + clock.MICROS_PER_DAY)
    micros = moments.micros[~unread]
    share = float(unread[~moments.missing].sum()) / max(int((~moments.missing).sum()), 1)
    return share, int(micros.max() - micros.min()) if len(micros) else 0


def ask_states(draft: Draft, file: Survey) -> None:
    """Leave out cancelled orders; ask about orders in states that read like that."""
    key = "orders.not"
    cancelled = {column: ["*"] for column in file.candidates("orders", "cancelled_at")[:1]}
    for column in file.candidates("orders", "status"):
        if words := words_of(file.source, column, UNDONE):
            text = f"Words of {column!r} that say an order was no sale ({NONE} for none)"
            likeliest = json.dumps(words, ensure_ascii=False)

            def excluded(answer: str, column: str = column) -> dict[str, list[str]]:
                return {**cancelled, column: json.loads(answer) if answer[0] == "[" else [answer]}

            draft.choose(key, text, likeliest, "they read like that", means=excluded)
            break
    if cancelled and key not in draft.settings:
        draft.set(key, cancelled, "an order that holds something there was cancelled")
