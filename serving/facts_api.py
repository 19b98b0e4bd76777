"""The rates of facts as a data frame: `mersalg.rates`."""

# pandas has no types for a checker.
# pyright: reportMissingTypeStubs=false, reportUnknownMemberType=false

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import closing, contextmanager
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any

import orjson
import pandas as pd
import pyarrow as pa

from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.progress import SilentProgress
from mersalg.engine.storage.fact_import import Source, import_facts
from mersalg.engine.storage.store import Store, open_existing_store, open_store
from mersalg.engine.tracking.report import build_report, parse_query
from mersalg.engine.tracking.report_csv import MEASURES, group_keys, rows_of

_AMOUNTS = {"amount": "value", "amount_lower": "lower", "amount_upper": "upper"}
_MONEY: Any = pa.decimal128(38, 6)  # pyright: ignore[reportUnknownVariableType]
"""With the most decimals that a currency has, and the two more of effects on a checkout."""
_SQLITE = b"SQLite format 3\0"
_SETTINGS = (
    *("timezone", "currency", "impressions", "window"),
    *("checkout_days", "holdout", "count", "level"),
)
Facts = str | Path | Iterable[Mapping[str, Any]]


def rates(
    facts: Facts,
    start: date | str | None = None,
    end: date | str | None = None,
    by: str | Sequence[str] | None = None,
    **settings: str,
) -> pd.DataFrame:
    """Return both rates of facts, a row for each group, kind and rate, as `mersalg report` does.

    Parameters
    ----------
    facts : str, Path or iterable of mapping
        A file of facts, one JSON object a line; the URL of a database, or a SQLite file; or the
        facts themselves, in the schema of `POST /v1/events` with `decision` facts.
    start, end : date or str or None
        The first and the last day, both inclusive; None is unbounded.
    by : str or sequence of str or None
        Group keys, such as `"week"` or `["day", "item"]`.
    **settings : str
        Settings of a report that override those of the database: `timezone`, `currency`,
        `impressions`, `window`, `checkout_days`, `holdout`, `count`, `level`.

    Returns
    -------
    pandas.DataFrame
        The group keys, `kind`, `rate`, `value`, `lower`, `upper`, `numerator`, `denominator`,
        `method`, `status`, `q_value` and `shrunken`. Rows of money have `amount`, `amount_lower`
        and `amount_upper` instead of `value`, `lower` and `upper`: exact decimals in major units.

    Raises
    ------
    ConfigError
        A setting or a group key is not known.
    DataError
        A fact is malformed, or there is no such file.
    """
    if unknown := sorted(settings.keys() - _SETTINGS):
        raise ConfigError(f"rates has no setting {unknown[0]!r}; there are {', '.join(_SETTINGS)}")
    keys = [by] if isinstance(by, str) else list(by or ())
    query = parse_query(
        {
            "from": _bound(start),
            "to": _bound(end),
            "by": ",".join(keys),
            **settings,
        }
    )
    with _store_of(facts) as (store, lasts):
        filled = query.filled(store.reports.settings())
        # Roll-ups of a database that is gone in a moment would be made for nothing.
        report = build_report(store, filled, from_facts=not lasts)
    return frame_of(report)


def _bound(bound: date | str | None) -> str | None:
    """Return a bound of the period as text; a day is a midnight to pandas, and means all of it."""
    if isinstance(bound, datetime) and bound.tzinfo is None and bound.time() == time.min:
        bound = bound.date()
    return None if bound is None else str(bound)


def frame_of(report: Mapping[str, Any]) -> pd.DataFrame:
    """Return the rows of a report with the columns of its CSV, and exact columns of money."""
    rows = [
        {**key, "kind": kind, "rate": rate, **_cells(entry)}
        for key, kind, rate, entry in rows_of(report)
    ]
    columns = [*group_keys(report), "kind", "rate", *MEASURES, *_AMOUNTS]
    frame = pd.DataFrame(rows, columns=columns)
    numbers = ["value", "lower", "upper", "q_value", "shrunken"]
    counts = ["numerator", "denominator"]
    types = [(numbers, "float64"), (counts, "Int64"), ([*_AMOUNTS], pd.ArrowDtype(_MONEY))]
    return frame.astype({name: of for names, of in types for name in names})


def _cells(entry: Mapping[str, Any]) -> dict[str, Any]:
    """Return the measures of a row; amounts of money, which are texts, in their own columns."""
    cells = {name: entry.get(name) for name in MEASURES}
    if isinstance(cells["value"], str):
        for amount, name in _AMOUNTS.items():
            text: str | None = cells[name]
            cells[amount], cells[name] = None if text is None else Decimal(text), None
    return cells


@contextmanager
def _store_of(facts: Facts) -> Generator[tuple[Store, bool]]:
    """Open the database of facts, or put them into a temporary one; and say whether it lasts."""
    if isinstance(facts, (str, Path)) and _is_database(str(facts)):
        with closing(open_existing_store(str(facts))) as store:
            store.ping()
            yield store, True
        return
    with tempfile.TemporaryDirectory(prefix="mersalg-rates-") as folder:
        temporary = Path(folder)
        file = Path(facts) if isinstance(facts, (str, Path)) else _written(facts, temporary)
        rejected = temporary / "rejected.jsonl"
        with closing(open_store(f"sqlite:///{temporary / 'facts.db'}", bulk=True)) as store:
            store.migrate()
            try:
                lines = file.open("rb")
            except OSError as error:
                raise DataError(f"cannot read: {error.strerror}", file=str(file)) from error
            with lines:
                source = Source.of(lines, file)
                result = import_facts(store, source, rejected, SilentProgress())
            if result.rejected:
                line, code, message = result.examples[0]
                given = str(file) if isinstance(facts, (str, Path)) else None
                raise DataError(f"line {line} ({code}): {message}", file=given)
            yield store, False


def _is_database(name: str) -> bool:
    if "://" in name:
        return True
    path = Path(name)
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(len(_SQLITE)) == _SQLITE


def _written(facts: Iterable[Mapping[str, Any]], folder: Path) -> Path:
    path = folder / "facts.jsonl"
    with path.open("wb") as file:
        for fact in facts:
            # Of data frames come numbers of NumPy, decimals and timestamps.
            file.write(orjson.dumps(fact, str, orjson.OPT_SERIALIZE_NUMPY) + b"\n")
    return path
