"""Sections of the shop file about offers: limits, pins, blocks, when they hold, own upgrades."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    model_validator,
)

from mersalg.engine import clock
from mersalg.engine.decoding import nearest
from mersalg.engine.errors import LONGEST_REPEATED, ConfigError

_BEGINNING, _END = -(2**62), 2**62
"""Long before and after every instant that can be written."""


@dataclass(frozen=True, slots=True)
class Validity:
    """From `start` (included) until `end` (not), microseconds since the epoch."""

    start: int = _BEGINNING
    end: int = _END

    @classmethod
    def between(cls, start: date | None, end: date | None, zone: ZoneInfo) -> Self:
        """None is open; a date is its first instant in `zone`, as are times without offset."""
        return cls(
            _BEGINNING if start is None else _instant(start, zone),
            _END if end is None else _instant(end, zone),
        )

    @property
    def lasts(self) -> bool:
        """Whether it holds at any moment at all."""
        return self.start < self.end

    @property
    def turns(self) -> frozenset[int]:
        """The moments at which it begins or ceases to hold."""
        return frozenset({self.start, self.end} - {_BEGINNING, _END})

    def __contains__(self, moment: int) -> bool:
        return self.start <= moment < self.end


def _instant(moment: date, zone: ZoneInfo) -> int:
    local = moment if isinstance(moment, datetime) else datetime.combine(moment, time())
    return clock.to_micros(local if local.tzinfo else local.replace(tzinfo=zone))


def parse_moment(value: object) -> object:
    """Return the instant of a TOML or ISO 8601 date, or date and time; raises ValueError."""
    if isinstance(value, date):
        return value
    if isinstance(value, str):
        for read in (date.fromisoformat, datetime.fromisoformat):
            with suppress(ValueError):
                return read(value)
    raise ValueError("must be a date such as 2026-11-01, or a date and time")


def _as_tuple(value: object) -> object:
    return (value,) if isinstance(value, str) else value


Columns = Annotated[tuple[str, ...], BeforeValidator(_as_tuple), Field(min_length=1)]
"""One source column, or several that make one key together."""


class Section(BaseModel):
    """A section of a shop file, in which unknown names are errors."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        use_attribute_docstrings=True,
        validate_by_name=True,
        validate_by_alias=True,
        serialize_by_alias=True,
    )


Moment = Annotated[date | datetime, BeforeValidator(parse_moment)]
"""A date (its first instant), or a date and time; local to `shop.timezone` without an offset."""


class _ShopRule(Section):
    """Subject of a pin or a block: an item, a category, or a rule."""

    item: str | None = Field(default=None, min_length=1)
    """One item."""
    category: Columns | None = None
    """A category with all below it: `Dairy`, `Dairy > Milk` or `["Dairy", "Milk"]`."""
    consequent: str | None = Field(default=None, min_length=1)
    """The item of a rule, together with `antecedent`."""
    antecedent: tuple[str, ...] = ()
    """Items of which the cart must hold every one."""
    when_cart_has: tuple[str, ...] = ()
    """The same for an item or a category: only beside carts that hold every one of these."""
    from_: Moment | None = Field(default=None, alias="from")
    """First moment at which it holds; always so far where not given."""
    until: Moment | None = None
    """First moment at which it no longer holds; for ever where not given."""

    @model_validator(mode="after")
    def _one_target(self) -> Self:
        if sum(target is not None for target in (self.item, self.category, self.consequent)) != 1:
            raise ValueError("give one of item, category, and antecedent with consequent")
        if bool(self.antecedent) != (self.consequent is not None):
            raise ValueError("antecedent and consequent belong together")
        if self.antecedent and self.when_cart_has:
            raise ValueError("a rule says by its antecedent what the cart must hold")
        if (self.item or self.consequent) in (*self.antecedent, *self.when_cart_has):
            raise ValueError("what the cart holds already cannot be offered beside it")
        return self

    @property
    def offered_item(self) -> str | None:
        """The item spoken of, None where it is a category."""
        return self.item or self.consequent

    @property
    def needed_items(self) -> tuple[str, ...]:
        """The cart must hold all of these."""
        return self.antecedent or self.when_cart_has

    def validity(self, timezone: str) -> Validity:
        return Validity.between(self.from_, self.until, ZoneInfo(timezone))


class PinSection(_ShopRule):
    """A cross-sell offer the shop places itself."""

    position: int = Field(default=1, ge=1, le=20)
    """Its place among the cross-sell offers, 1 the first."""


class BlockSection(_ShopRule):
    """Items that the shop never offers, neither beside a cart nor instead of something in it."""


ShopRule = PinSection | BlockSection
_BY_ACTION: Mapping[str, type[ShopRule]] = {"pin": PinSection, "block": BlockSection}


def shop_rule(action: object, fields: Mapping[str, Any]) -> ShopRule:
    """Return the rule of an action, `pin` or `block`, with the fields of its section.

    Raise ConfigError where there is no such rule; `details` has the `problems`, each with `where`
    and `message`.
    """
    problems: list[dict[str, str]] = []
    kind = _BY_ACTION.get(action) if isinstance(action, str) else None
    if kind is None:
        problems.append({"where": "action", "message": "must be pin or block"})
    else:
        try:
            rule = kind.model_validate(fields)
            if rule.validity("UTC").lasts:
                return rule
            problems.append({"where": "until", "message": "must be after from"})
        except ValidationError as error:
            for issue in error.errors():
                where = ".".join(str(part)[:LONGEST_REPEATED] for part in issue["loc"])
                message = issue["msg"].removeprefix("Value error, ")
                if issue["type"] == "extra_forbidden":
                    names = [each.alias or name for name, each in kind.model_fields.items()]
                    closest = nearest(where, names)
                    message = "is not known" + (f"; did you mean {closest}?" if closest else "")
                problems.append({"where": where, "message": message})
    first = f"{problems[0]['where']} {problems[0]['message']}".strip()
    raise ConfigError(first, details={"problems": problems})


class UpgradeSection(Section):
    """A better version of an item that the shop names itself.

    It is offered across families and outside the price band, as long as it costs more.
    """

    from_: str = Field(min_length=1, alias="from")
    """The item in the cart."""
    to: str = Field(min_length=1)
    """The better one."""

    @model_validator(mode="after")
    def _two_items(self) -> Self:
        if self.from_ == self.to:
            raise ValueError("an item is no better version of itself")
        return self


class OffersSection(Section):
    """Limits of offers, and items that are not offered."""

    cross_sell: int = Field(default=3, ge=0, le=20)
    """Cross-sell offers where a call gives no limit."""
    upsell: int = Field(default=1, ge=0, le=20)
    """Upsell offers where a call gives no limit."""
    min_price_ratio: float = Field(default=1.05, gt=1)
    """An upsell costs at least this many times its base item."""
    max_price_ratio: float = Field(default=2.5, gt=1)
    """An upsell costs at most this many times its base item."""
    min_upsell_gain: Decimal = Field(default=Decimal(0), ge=0, max_digits=12)
    """Money an upsell must be expected to bring: how likely it is taken, times its price (or
    margin, where costs are known) beyond its base item's, times the quantity."""
    declined_days: float = Field(default=7, ge=0, le=365)
    """Days for which an item the buyer dismissed is not offered again; 0 remembers nothing."""
    max_per_category: int | None = Field(default=None, ge=1)
    """Cross-sell offers of one category (its whole path) in one answer, never exceeded. Where not
    given: half of the places, at least 2, unless nothing else is left to fill them."""
    min_margin: float | None = Field(default=None, ge=0, lt=1)
    """Share of the catalogue's price that must be left after cost; where cost is known."""
    min_margin_amount: Decimal | None = Field(default=None, ge=0, max_digits=12)
    """Money that must be left of the catalogue's price after cost; where cost is known."""
    max_price_to_cart_ratio: float | None = Field(default=3, gt=0)
    """A cross-sell offer costs at most this many times all that the cart holds; no limit where the
    cart is empty or a price in it is not known, and none for pins."""
    sensitive: tuple[Annotated[str, Field(min_length=1)], ...] = ()
    """Categories whose items are offered only beside carts that hold nothing but items of that
    category: `Wine`, with all below it, at any level of the category path."""
    pins: tuple[PinSection, ...] = ()
    """Cross-sell offers the shop places itself."""
    blocks: tuple[BlockSection, ...] = ()
    """What is never offered."""
    upgrades: tuple[UpgradeSection, ...] = ()
    """Better versions by the shop's own word."""
