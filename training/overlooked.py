"""Warns of what a shop file may have overlooked in its sources."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from mersalg.engine.source_sections import CatalogueColumns, OrderColumns
from mersalg.training.arrow import pc
from mersalg.training.init_survey import Survey
from mersalg.training.keys import MISSING, Codes, Keys, codes_of
from mersalg.training.sources import SourceTable

_FIELDS = {
    "orders": ("customer_id", "ordered_at", "quantity", "unit_price", "store_id", "currency"),
    "catalogue": ("name", "category", "price", "in_stock", "active", "cost"),
}
_DASHES = "[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]"
_MANY = 20
"""Order lines of one customer that may be those of all guests."""
_SHARE = 0.2
_TIMES_THE_NEXT = 5


def unused_fields(
    section: str, columns: OrderColumns | CatalogueColumns, source: SourceTable
) -> Iterator[str]:
    """Yield a warning of unused columns that by their names may be fields which are not set."""
    names = [name for name in source.unused if source.table.column_names.count(name) == 1]
    file = Survey(Path(source.files[0]), source.table.select(names), None, None, True)
    may_be: dict[str, str] = {}
    for field in _FIELDS[section]:
        if getattr(columns, field) is None and field not in columns.model_fields_set:
            if field == "unit_price" and getattr(columns, "line_total", None) is not None:
                continue
            called = [*file.candidates(section, field)]
            if field == "unit_price":
                called += file.candidates(section, "amount")
            if called and called[0] not in may_be.values():
                may_be[field] = called[0]
    if may_be:
        listed = ", ".join(f"{field} = {json.dumps(name)}" for field, name in may_be.items())
        yield (
            f"{section}: columns that are not used may be fields by their names; set [{section}]"
            f' columns = {{ {listed} }}, or a field to "" where they are not'
        )


def written_alike(what: str, *listed: pa.Array) -> Iterator[str]:
    """Yield a warning of ids that differ only in letter case, leading zeros, marks or dashes."""
    texts = pc.unique(pa.concat_arrays([each.cast(pa.large_string()) for each in listed]))
    forms = pc.utf8_lower(pc.utf8_normalize(texts, form="NFKC"))
    forms = pc.replace_substring_regex(forms, _DASHES, "-")
    forms = pc.replace_substring_regex(forms, r"^0+([0-9]+)$", r"\1")
    forms = pc.replace_substring_regex(forms, r"([0-9]),([0-9]{3})\b", r"\1\2")
    encoded = forms.dictionary_encode()
    if len(encoded.dictionary) < len(texts):
        codes = codes_of(encoded)
        several = np.bincount(codes) > 1
        one, other = np.flatnonzero(codes == int(np.argmax(several)))[:2].tolist()
        yield (
            f"{int(several.sum()):,} {what} are written in several forms, as"
            f" {texts[one].as_py()!r} and {texts[other].as_py()!r}, and each form counts as"
            " another; write each in one form in all files"
        )


def perhaps_nobody(customers: Keys, codes: Codes) -> Iterator[str]:
    """Yield a warning of a customer with so many lines that it may stand for all guests.

    Parameters
    ----------
    codes
        Positions in the customers, one an order line.
    """
    counts = np.bincount(codes[codes != MISSING])
    if len(counts) < 2:
        return
    second, first = np.sort(counts)[-2:].tolist()
    if first >= max(_MANY, _SHARE * counts.sum(), _TIMES_THE_NEXT * second):
        who = customers.texts[int(counts.argmax())].as_py()
        yield (
            f"orders: customer {who!r} has {first:,} of {int(counts.sum()):,} order lines; if it"
            " stands for guests, leave these cells empty"
        )
