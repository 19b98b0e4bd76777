"""Decode JSON into structs: numbers as exact as written, unknown fields named, problems in words.

A struct takes the fields it knows and passes over the rest. Its strict twin (`strictly`) refuses
the rest: only what that one refuses is looked through for names, so that a body without unknown
fields costs nothing to check.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator
from decimal import Decimal, InvalidOperation
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

import msgspec
from msgspec import Struct, ValidationError, defstruct
from msgspec.structs import fields

from mersalg.engine.errors import FactRejected, shown
from mersalg.engine.fact_schema import EVENT_BODIES, DecisionBody, FactBody
from mersalg.engine.fact_values import LONGEST_NUMBER
from mersalg.engine.facts import ORDER_TYPES, PROMOTION_TYPES

_NOT_TAKEN = float("nan")
"""What no field takes."""
_EXACT_DIGITS = 15
"""A float holds every number of so many digits."""
_MAX_EXCHANGED = 2
"""Letters by which a field that is not known differs at most from the one that was meant."""


def exact_number(digits: str) -> float | Decimal:
    """Return a JSON number as it was written, which a float cannot always hold."""
    if len(digits) <= _EXACT_DIGITS:
        return float(digits)
    if len(digits) > LONGEST_NUMBER:
        return _NOT_TAKEN
    try:
        return Decimal(digits)
    except InvalidOperation:
        # Its exponent is beyond all bounds: infinity, which no field takes, or zero.
        return float(digits)


@cache
def strictly(struct: type[Struct]) -> type[Struct]:
    """Return a subclass that refuses fields it does not know, in itself and in structs inside."""
    inside = [(field.name, _strict_type(field.type), field.default) for field in fields(struct)]
    changed = [each for each, declared in zip(inside, fields(struct), strict=True)
               if each[1] != declared.type]  # fmt: skip
    tag = struct.__struct_config__.tag
    return defstruct(struct.__name__, changed, bases=(struct,), forbid_unknown_fields=True, tag=tag)


def is_of_unknown(error: ValidationError) -> bool:
    """Return whether a strict struct met a field that it does not know."""
    return str(error).startswith("Object contains unknown field")


def unknown_fields(value: object, struct: type[Struct], where: str = "") -> Iterator[str]:
    """Yield the paths of the fields of an object that a struct does not know, as `lines.colour`."""
    if not isinstance(value, dict):
        return
    type_of_field = {field.encode_name: field.type for field in fields(struct)}
    for name, part in cast("dict[str, object]", value).items():
        if name not in type_of_field and name != struct.__struct_config__.tag_field:
            yield f"{where}{name}"
        inner = next(_structs_in(type_of_field.get(name)), None)
        for each in cast("list[object]", part if isinstance(part, list) else [part]):
            if inner is not None:
                yield from unknown_fields(each, inner, f"{where}{name}.")


def _structs_in(kind: Any) -> Iterator[type[Struct]]:
    if isinstance(kind, type) and issubclass(kind, Struct):
        yield kind
    for part in get_args(kind):
        yield from _structs_in(part)


def _strict_type(kind: Any) -> Any:
    """Return a type with the strict twins of the structs in it."""
    structs = list(_structs_in(kind))
    if structs == [kind] or not structs:
        return strictly(structs[0]) if structs else kind
    origin: Any = get_origin(kind)
    parts: tuple[Any, ...] = tuple(_strict_type(part) for part in get_args(kind))
    if origin in (Union, UnionType):
        joined = parts[0]
        for part in parts[1:]:
            joined |= part
        return joined
    return origin[parts] if origin is not Annotated else Annotated[parts]


_decoder = msgspec.json.Decoder(FactBody, float_hook=exact_number)
_strict_decoder: msgspec.json.Decoder[FactBody] = msgspec.json.Decoder(
    Union[(*map(strictly, EVENT_BODIES.values()), DecisionBody)], float_hook=exact_number
)
_any_decoder = msgspec.json.Decoder(float_hook=exact_number)


def decode_fact(raw: bytes | str | msgspec.Raw, unknown: set[str] | None = None) -> FactBody:
    """Return the body of a fact from its JSON.

    `unknown` takes the fields of events that are not known, which are left out. Raise FactRejected,
    reason `invalid`, with a message that names the field.
    """
    try:
        try:
            return _strict_decoder.decode(raw)
        except msgspec.ValidationError as error:
            if not is_of_unknown(error):
                raise
        body = _decoder.decode(raw)
        if unknown is not None and not isinstance(raw, str):
            unknown.update(unknown_fields(decode_any(raw), body.__class__))
        return body
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _refusal(error, raw) from error


def decode_any(raw: bytes | msgspec.Raw) -> object:
    """Return any JSON, its numbers as exact as in a fact; raise FactRejected where it is none."""
    try:
        return _any_decoder.decode(raw)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise _refusal(error, raw) from error


def convert_fact(data: object) -> FactBody:
    """Return the body of a fact from a decoded JSON object; raise as `decode_fact`."""
    try:
        return cast(FactBody, msgspec.convert(data, FactBody))
    except (msgspec.ValidationError, UnicodeError, RecursionError) as error:
        raise _refusal(error) from error


def people_in(events: Iterable[msgspec.Raw | dict[str, object]]) -> Iterator[object]:
    """Yield the customers and sessions that JSON objects name, facts or not, unchecked."""
    for event in events:
        try:
            named = decode_any(event) if isinstance(event, msgspec.Raw) else event
        except FactRejected:
            continue
        if isinstance(named, dict):
            yield cast("dict[str, object]", named).get("customer_id")
            yield cast("dict[str, object]", named).get("session_id")


def _refusal(error: Exception, raw: bytes | str | msgspec.Raw = "") -> FactRejected:
    if isinstance(error, msgspec.ValidationError):
        field, message = problem_of(error)
        return FactRejected("invalid", f"{field or 'fact'} {message}")
    is_text = not isinstance(error, UnicodeError)
    if not isinstance(raw, str):
        try:
            # The decoder stops at the first byte that is no JSON, whatever the encoding is.
            bytes(raw).decode()
        except UnicodeDecodeError:
            is_text = False
    return FactRejected("invalid", f"not JSON: {error}" if is_text else "not UTF-8 text")


def meant(path: str, struct: type[Struct]) -> str | None:
    """Return the known field that is nearly written as one that is not known, None for none."""
    types = {field.encode_name: field.type for field in fields(struct)}
    outer, _, name = path.partition(".")
    inner = next(_structs_in(types.get(outer)), None)
    # A name may hold dots itself (`utm.source`): then no struct is inside.
    return nearest(path, types) if inner is None or not name else meant(name, inner)


def nearest(name: str, names: Collection[str]) -> str | None:
    """Return the one of `names` that is at most two letters from `name`, None without one."""
    closest = min(names, key=lambda known: _distance(name, known), default=None)
    return closest if closest is not None and _distance(name, closest) <= _MAX_EXCHANGED else None


def _distance(one: str, other: str) -> int:
    """Return how many letters to insert, remove or exchange, as by Levenshtein (1966)."""
    if abs(len(one) - len(other)) > _MAX_EXCHANGED:
        return _MAX_EXCHANGED + 1
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, start=1):
        before, row = row, [at]
        for column, other_letter in enumerate(other, start=1):
            replaced = before[column - 1] + (letter != other_letter)
            row.append(min(before[column] + 1, row[-1] + 1, replaced))
    return row[-1]


_WHERE = re.compile(r" - at `(?:key in )?\$\.?(.*)`$")
_MISSING = re.compile(r"Object missing required field `(\w+)`")
_TYPES = ", ".join(sorted(PROMOTION_TYPES | ORDER_TYPES | {"decision"}))
_COUNTS = "cross_sell upsell model_customer lines_omitted revision n_joint n_antecedent".split()
_BY_FIELD = {
    "type": f"must be one of {_TYPES}",
    "occurred_at": "is required, as ISO 8601 with an offset",
    "arm": "must be treatment or control",
    **dict.fromkeys(("consent", "prices_include_tax"), "must be true or false"),
    "kind": "must be cross_sell or upsell",
    "mode": "must be one of discovery, complete",
    "scope": "must be one of server, token, storefront",
    "control_share": "must be a number from 0 to 1",
    "position": "must be a whole number from 1",
    **dict.fromkeys(_COUNTS, "must be a whole number from 0"),
}
_UNKNOWN = re.compile(r"Object contains unknown field `(.*?)`", re.DOTALL)
_TOO_LARGE = re.compile(r"Expected `int` <= (\d+)")
_BY_TYPE = (
    (re.compile(r"Expected `str` of length <= (\d+)"), r"is longer than \1 characters"),
    (re.compile(r"Expected `str` of length >= 1"), "must not be empty"),
    (re.compile(r"Expected `str` matching"), "must be an ISO 4217 code such as NOK"),
    (re.compile(r"Expected `(?:array|object)` of length <= (\d+)"), r"holds more than \1 entries"),
    (re.compile(r"Expected `float \| str`"), "must be text or a number"),
    (re.compile(r"Expected `array"), "must be a list"),
    (re.compile(r"Expected `object"), "must be a JSON object"),
    (re.compile(r"Expected `bool"), "must be true or false"),
    (re.compile(r"Expected `float|Number out of range"), "must be a number"),
    (re.compile(r"Expected `(int \| )?str"), "must be text"),
)


def problem_of(error: msgspec.ValidationError, whole: str = "") -> tuple[str, str]:
    """Return the field that `msgspec` refused and why, in plain words.

    `whole` is the field whose value was converted: the one that is returned is inside it, and empty
    where the value itself was refused.
    """
    problem = str(error)
    location = _WHERE.search(problem)
    field = location.group(1) if location else ""
    missing = _MISSING.match(problem)
    if missing:
        field = f"{field}.{missing.group(1)}" if field else missing.group(1)
        if field != "type":
            return field, "is required"
    if unknown := _UNKNOWN.match(problem):
        return field, f"has no field {shown(unknown[1])}"
    if too_large := _TOO_LARGE.match(problem):
        return field, too_large.expand(r"must be at most \1")
    message = _BY_FIELD.get((field or whole).rpartition(".")[2])
    for pattern, words in _BY_TYPE if message is None else ():
        if match := pattern.match(problem):
            message = match.expand(words)
            break
    return field, message or problem
