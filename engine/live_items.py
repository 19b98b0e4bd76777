"""Fields of items that a shop states between trainings, each stored with its own instant.

An update states some fields of an item as of one instant, and `LiveItem` keeps of each field what
was stated last: updates may come twice, late and in any order. A deletion forgets all that was
stated until then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from mersalg.engine import clock
from mersalg.engine.decoding import exact_number, problem_of
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_schema import Instant, Number
from mersalg.engine.fact_values import LONGEST_ID, is_id, is_label, parse_instant, to_minor

LONGEST_TEXT = 1_000
_MAX_ATTRIBUTES = 100
_AHEAD = clock.MICROS_PER_DAY
"""An instant further ahead would keep all that follows it out."""
_ANY_CURRENCY = "XXX"
ATTRIBUTE = "attributes."
"""Begin of the names under which the attributes of an item are kept, each by itself."""

_Text = Annotated[str, Meta(max_length=LONGEST_TEXT)]
Money = Annotated[Number, Meta(description="A decimal string such as `199.00`, or a number")]


class ItemUpdate(Struct, forbid_unknown_fields=True):
    """Changes of an item; fields that are not named stay as they are."""

    price: Money | UnsetType = UNSET
    in_stock: bool | UnsetType = UNSET
    active: bool | UnsetType = UNSET
    name: _Text | UnsetType = UNSET
    category: Annotated[Sequence[_Text], Meta(max_length=20)] | UnsetType = UNSET
    family: _Text | UnsetType = UNSET
    brand: _Text | UnsetType = UNSET
    cost: Money | UnsetType = UNSET
    image_url: _Text | UnsetType = UNSET
    attributes: (
        Annotated[dict[_Text, _Text | float], Meta(max_length=_MAX_ATTRIBUTES)] | UnsetType
    ) = UNSET
    updated_at: Annotated[
        Instant | UnsetType,
        Meta(
            description="When it became so, ISO 8601 with an offset; the time of arrival where it"
            " is not given. What is known of a field as of a later instant stays"
        ),
    ] = UNSET

    def fields(self) -> dict[str, Any]:
        """Return what is stated, as `checked`."""
        given = {name: getattr(self, name) for name in ITEM_FIELDS}
        return checked({name: value for name, value in given.items() if value is not UNSET})


class BatchItem(ItemUpdate, forbid_unknown_fields=True, kw_only=True):
    """An item of a batch."""

    item_id: Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)] | int


ITEM_FIELDS = tuple(name for name in ItemUpdate.__struct_fields__ if name != "updated_at")


def checked(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return fields of an item by the names under which they are kept.

    Raise FactRejected where a field holds what its type does not allow, or there is none.
    """
    fields: dict[str, Any] = {}
    for name, value in given.items():
        if name in ("price", "cost"):
            fields[name] = _amount(name, value)
        elif name == "category":
            fields[name] = [_label(name, part) for part in value]
        elif name == "attributes":
            fields |= {
                ATTRIBUTE + _label(name, each): _label(name, str(text))
                for each, text in value.items()
            }
        else:
            fields[name] = value if isinstance(value, bool) else _label(name, value)
    if not fields:
        raise FactRejected("invalid", "name at least one field of the item")
    return fields


class Stated(Struct, frozen=True):
    """An item with the fields that are stated of it, as of an instant in microseconds."""

    item_id: str
    fields: dict[str, Any]
    at: int


class LiveItem(Struct):
    """Stored state of an item: each field's value with its instant, and that of its deletion."""

    fields: dict[str, tuple[Any, int]] = {}
    deleted_at: int = 0

    def take(self, stated: Stated) -> bool:
        """Keep what is newer than what is known; return whether anything was."""
        changed = False
        for name, value in stated.fields.items():
            if stated.at > max(self.deleted_at, self.fields.get(name, (None, 0))[1]):
                self.fields[name] = (value, stated.at)
                changed = True
        return changed

    def delete(self, at: int) -> None:
        """Forget all that was stated until an instant."""
        self.deleted_at = max(self.deleted_at, at)
        self.fields = {n: each for n, each in self.fields.items() if each[1] > self.deleted_at}

    @property
    def updated_at(self) -> int:
        """The newest instant of a field."""
        return max((at for _, at in self.fields.values()), default=self.deleted_at)

    def get(self, name: str, default: Any = None) -> Any:
        """Return the value of a field, `default` where it is not stated."""
        return self.fields[name][0] if name in self.fields else default

    def attributes(self) -> dict[str, str]:
        """Return the attributes, with the brand as one of them."""
        stated = {
            name.removeprefix(ATTRIBUTE): value
            for name, (value, _) in self.fields.items()
            if name.startswith(ATTRIBUTE)
        }
        return stated | ({"brand": self.fields["brand"][0]} if "brand" in self.fields else {})

    def bodies(self) -> Iterator[dict[str, object]]:
        """Yield updates that state all that is known, one for each instant."""
        for at in sorted({at for _, at in self.fields.values()}):
            stated = {name: value for name, (value, each) in self.fields.items() if each == at}
            body = {name: value for name, value in stated.items() if name in ITEM_FIELDS}
            attributes = {
                name.removeprefix(ATTRIBUTE): value
                for name, value in stated.items()
                if name.startswith(ATTRIBUTE)
            }
            body |= {"attributes": attributes} if attributes else {}
            if body:
                yield {**body, "updated_at": clock.to_iso(at)}


_update = msgspec.json.Decoder(ItemUpdate, float_hook=exact_number)
_batch_item = msgspec.json.Decoder(BatchItem, float_hook=exact_number)


def decode_item(raw: bytes | msgspec.Raw, now: int, item_id: str | None = None) -> Stated:
    """Return what JSON says of an item, of which it names the id unless `item_id` does.

    Raise FactRejected for reason `invalid` or `out_of_bounds`, with a message that names the field.
    """
    try:
        decoded = (_batch_item if item_id is None else _update).decode(raw)
    except msgspec.ValidationError as error:
        field, message = problem_of(error)
        raise FactRejected("invalid", f"{field or 'item'} {message}") from error
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise FactRejected("invalid", f"not JSON: {error}") from error
    if isinstance(decoded, BatchItem):
        item_id = str(decoded.item_id)
    if not item_id or not is_id(item_id):
        raise FactRejected("invalid", f"item_id must be text of at most {LONGEST_ID} characters")
    return Stated(item_id, decoded.fields(), _instant(decoded.updated_at, now))


def _instant(text: str | UnsetType, now: int) -> int:
    if text is UNSET:
        return now
    try:
        at = parse_instant(text)
    except ValueError as error:
        raise FactRejected("invalid", "updated_at must be ISO 8601 with an offset") from error
    if at > now + _AHEAD:
        raise FactRejected("out_of_bounds", "updated_at must be at most a day ahead")
    return at


def _amount(name: str, value: Any) -> str:
    """Return an amount of money as it is kept; the currency is known where a model is."""
    text = value if isinstance(value, str) else str(value)
    try:
        if isinstance(value, bool) or to_minor(text, _ANY_CURRENCY) < 0:
            raise ValueError
    except ValueError as error:
        raise FactRejected("invalid", f"{name} must be an amount of money, 0 or more") from error
    return text.strip()


def _label(name: str, value: str) -> str:
    if not is_label(value):
        raise FactRejected("invalid", f"{name} holds control characters")
    return value.strip()
