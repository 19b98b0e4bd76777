"""Fields of JSON objects that are not known: a body without any costs nothing to check.

A struct takes what it knows and passes over the rest. Its strict twin (`strictly`) refuses the
rest: only what that one refuses is looked through for names.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from functools import cache
from types import UnionType
from typing import Annotated, Any, Union, cast, get_args, get_origin

from msgspec import Struct, ValidationError, defstruct
from msgspec.structs import fields

_MAX_EXCHANGED = 2
"""Letters by which a field that is not known differs at most from the one that was meant."""


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
