"""Drafts the shop file of order and catalogue files: which file is which, and what columns are."""

from __future__ import annotations

import glob
import os
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any

from mersalg.engine.config import parse_config
from mersalg.engine.errors import ConfigError, DataError
from mersalg.engine.source_sections import CatalogueColumns, OrderColumns
from mersalg.training.init import values
from mersalg.training.init.settings import NONE, Ask, Draft, Setting
from mersalg.training.reading.catalogue_file import parse_flag
from mersalg.training.reading.sources import as_field, columns_of, matching_files
from mersalg.training.reading.survey import Survey, names, sensitive_categories, survey

_FIELDS = {"orders": OrderColumns.model_fields, "catalogue": CatalogueColumns.model_fields}
_FILLED = 0.9
"""Share of rows that hold something in a column of item ids."""
_IDS = {
    "orders": {"order_id": ("order_id",), "item_id": ("item_id", "item_name")},
    "catalogue": {"item_id": ("item_id", "name")},
}
"""Fields that must be there, and where their columns are looked for, the best first."""


def draft_shop_file(paths: Sequence[str], out: Path, given: Mapping[str, Any], ask: Ask) -> Draft:
    """Look at files and draft the shop file that is to be written to `out`.

    `paths` may be globs; `given` are settings by their dotted names.

    Raises ConfigError: the files cannot be those of one shop. Raises DataError: one cannot be read.
    """
    draft = Draft(given, ask)
    folder = out.resolve().parent
    sections = _sections(paths, draft)
    firsts = {
        section: _described(draft, section, files, folder) for section, files in sections.items()
    }
    language = _language(sum((file.languages() for file in firsts.values()), Counter()))
    draft.choose("shop.name", "Name of the shop", folder.name or "Shop", "the folder's name")
    _matching_item_ids(draft, firsts)
    for section, file in firsts.items():
        _name_columns(draft, section, file)
    orders = firsts["orders"]
    values.find_amounts(draft, orders)
    values.ask_discount(draft, orders)
    values.join_time(draft, orders)
    values.ask_states(draft, orders)
    for section, file in firsts.items():
        usual = names()["languages"][_language(file.languages())]["decimal"]
        values.find_decimals(draft, section, file, usual)
        _leave_unused(draft, section, file)
    values.find_currency(draft, firsts, language)
    values.find_habits(draft, language)
    values.find_tax(draft, firsts)
    shop = {
        name: draft.value(f"shop.{name}") for name in ("name", "currency", "timezone", "locale")
    }
    parse_config({"shop": shop, "orders": {"path": "-"}}, source=str(out))
    values.find_dates(draft, orders)
    _suggest_sensitive(draft, firsts.get("catalogue"))
    draft.set("tracking.count", "vouched", "checkouts that the shop's server asked for")
    return draft


def _language(counts: Counter[str]) -> str:
    """Return what most speaks for; of two as good, the one that is named first in the table."""
    return max(names()["languages"], key=counts.__getitem__) if counts.total() else "en"


def _sections(paths: Sequence[str], draft: Draft) -> dict[str, list[Survey]]:
    """Return the files of each section, the orders first."""
    files = dict.fromkeys(file for path in paths for file in matching_files(path, Path()))
    surveys: dict[str, list[Survey]] = {"orders": [], "catalogue": []}
    for each in (survey([file]) for file in files):
        named = [name for name in surveys if Path(draft.value(f"{name}.path") or "") == each.path]
        section = named[0] if named else each.section
        if section is None:
            raise ConfigError(
                f"{each.path}: its first line, which must name the columns, says neither that it"
                f" holds orders nor a catalogue ({', '.join(map(repr, each.columns))}); say so by"
                f" --set orders.path={each.path} or --set catalogue.path={each.path}"
            )
        surveys[section].append(each)
    if not surveys["orders"]:
        raise ConfigError(
            f"no file holds orders among {', '.join(map(str, files))}: they need a column of order"
            " ids and one of item ids; name the file by --set orders.path=FILE"
        )
    return {section: several for section, several in surveys.items() if several}


def _described(draft: Draft, section: str, files: Sequence[Survey], folder: Path) -> Survey:
    """Set where the files of a section are and how they are written; return their rows."""
    first = files[0]
    # A given path is relative to where the command runs, not to the shop file.
    draft.given = {key: value for key, value in draft.given.items() if key != f"{section}.path"}
    paths = [os.path.relpath(file.path.resolve(), folder) for file in files]
    path = paths[0] if len(paths) == 1 else _pattern_of(paths, folder)
    what = f"an export: {first.export['name']}" if first.export else "by its columns"
    draft.set(f"{section}.path", Path(path).as_posix(), what)
    written = (first.separator, first.encoding)
    if first.separator is not None:
        key = f"{section}.encoding"
        draft.set(f"{section}.separator", first.separator, "by the first lines")
        if first.is_encoding_sure:
            draft.set(key, first.encoding, "by the letters")
        why = "no other gives as many letters"
        draft.choose(key, f"Text encoding of {first.path.name}", first.encoding, why)
        written = (draft.value(f"{section}.separator"), draft.value(key))
    if len(files) > 1 or written != (first.separator, first.encoding):
        first = survey([file.path for file in files], *written)
    if not first.source.n_rows:
        raise DataError("there are no rows", file=str(first.path))
    return first


def _pattern_of(paths: Sequence[str], folder: Path) -> str:
    """Return a pattern that names these files and no other."""
    first, last = min(paths), max(paths)
    n_alike = next(n for n, pair in enumerate(zip(first, last, strict=False)) if len({*pair}) > 1)
    pattern = f"{first[:n_alike]}*{Path(first).suffix}"
    if sorted(glob.glob(pattern, root_dir=folder)) != sorted(paths):  # noqa: PTH207
        raise ConfigError(
            f"{', '.join(paths)}: no pattern names these files and no other; put them into a folder"
            " of their own"
        )
    return pattern


def _matching_item_ids(draft: Draft, firsts: Mapping[str, Survey]) -> None:
    """Choose the columns by which most of the ordered items are in the catalogue."""
    key = "{}.columns.item_id".format
    given = [draft.given.get(key(section), "") for section in firsts]
    if len(given) < 2 or not all(isinstance(each, str) for each in given):
        return
    columns = {
        section: [draft.value(key(section))]
        if key(section) in draft.given
        else [name for each in _IDS[section]["item_id"] for name in file.candidates(section, each)]
        for section, file in firsts.items()
    }
    shares: dict[tuple[str, str], float] = {}
    for ours, theirs in product(columns["orders"], columns["catalogue"]):
        ordered = firsts["orders"].texts(ours)
        listed = {*firsts["catalogue"].texts(theirs)}
        share = sum(each in listed for each in ordered) / max(len(ordered), 1)
        # An id that few rows have is no id; of two that are as good the likelier name counts.
        shares[ours, theirs] = round(share * firsts["orders"].filled(ours), 2)
    best = max(shares, key=shares.__getitem__, default=("", ""))
    if shares.get(best):
        why = f"{shares[best]:.0%} of the ordered items are in the catalogue by it"
        if shares[best] >= 0.5:
            draft.set(key("orders"), best[0], why)
        text = f"Column of the item id in {firsts['orders'].path.name}"
        draft.choose(key("orders"), text, best[0], why, columns["orders"])
        draft.set(key("catalogue"), best[1], why)
    elif not any(key(section) in draft.given for section in columns):
        raise ConfigError(
            f"no item of {firsts['orders'].path} is in {firsts['catalogue'].path} by any column of"
            " ids; leave the catalogue out, or name the columns by"
            " --set orders.columns.item_id=COLUMN --set catalogue.columns.item_id=COLUMN"
        )


def _suggest_sensitive(draft: Draft, file: Survey | None) -> None:
    """Suggest the categories that may only be offered beside their like."""
    columns = draft.value("catalogue.columns.category")
    key = "offers.sensitive"
    if file is None or columns is None or key in draft.given:
        return
    texts = (text for column in columns_of(columns) for text in file.texts(column))
    categories = sensitive_categories(texts)
    if categories:
        topics = ", ".join(dict.fromkeys(categories.values()))
        draft.suggested[key] = Setting([*categories], f"{topics}: only beside carts of their like")


def _name_columns(draft: Draft, section: str, file: Survey) -> None:
    for name, sources in _IDS[section].items():
        _name_ids(draft, section, name, sources, file)
    for name in _FIELDS[section]:
        key = f"{section}.columns.{name}"
        if key in draft.settings:
            continue
        used = draft.used_columns(section)
        for column in file.candidates(section, name):
            # An item may have its name for its id, and a category be its family.
            if (column not in used or name in ("name", "family")) and _holds(file, name, column):
                draft.set(key, column, "by its name")
                break
    if section == "catalogue" and (category := draft.value("catalogue.columns.category")):
        draft.choose(
            "catalogue.columns.family",
            f"Column of families: items that substitute for each other ({NONE} for none)",
            category,
            "the category is taken, for no column is called so",
            (*file.columns, NONE),
        )


def _name_ids(draft: Draft, section: str, name: str, sources: Sequence[str], file: Survey) -> None:
    """Choose a column of ids by its name; ask where several tell rows apart differently."""
    key = f"{section}.columns.{name}"
    if key in draft.settings:
        return
    candidates = file.candidates(section, sources[0])
    # Some exports write the order id in the first row of an order alone.
    filled = [
        column for column in candidates if name == "order_id" or file.filled(column) >= _FILLED
    ]
    if filled and (file.export or all(file.same_rows(filled[0], each) for each in filled[1:])):
        draft.set(key, filled[0], "by its name")
        return
    others = [column for source in sources[1:] for column in file.candidates(section, source)]
    likeliest = next(iter((*filled, *others, *candidates)), None)
    why = "no column is called so"
    if filled:
        why = f"{' and '.join(map(repr, filled))} may be it"
    elif likeliest:
        why = f"no column of ids is filled in all rows; {likeliest!r} is the next best"
    text = f"Column of the {name.replace('_', ' ')} in {file.path.name}"
    draft.choose(key, text, likeliest, why, file.columns)


def _holds(file: Survey, name: str, column: str) -> bool:
    """Return whether the cells of a column are what its name says."""
    if name in values.NUMBERS:
        return "%" not in column and values.are_numbers(file, column)
    if name in ("in_stock", "active"):
        flags = [*map(parse_flag, file.texts(column))]
        # Where nothing is in stock, stock is not counted there.
        return None not in flags and any(flags)
    return True


def _leave_unused(draft: Draft, section: str, file: Survey) -> None:
    """Say which columns are not used, also to training, which would use some for their names."""
    used = draft.used_columns(section)
    draft.unused[section] = [column for column in file.columns if column not in used]
    for column in draft.unused[section]:
        field = as_field(column)
        key = f"{section}.columns.{field}"
        if field in _FIELDS[section] and key not in draft.settings and file.filled(column):
            draft.set(key, "", "the column of this name is not used")
