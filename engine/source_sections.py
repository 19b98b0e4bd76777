"""Sections of the shop file about its data: where they are, and what their columns hold.

`LogMap` says the same of another system's offer log, in a file of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, field_validator, model_validator

from mersalg.engine import clock
from mersalg.engine.errors import FactRejected
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.facts import Kind
from mersalg.engine.merchandising.sections import Columns, Moment, Section, Validity
from mersalg.engine.words import word_sets

DecimalMark = Literal[".", ","]
ThousandsMark = Literal[",", ".", " ", "'"]
Step = Literal["received", "viewed", "completed", "purchased"]
STEPS: tuple[Step, ...] = get_args(Step)
Outcome = Literal["accepted", "declined"]
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)

Name = Annotated[str, Field(min_length=1)]
Words = Columns
"""One word, or several that mean the same."""
Days = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


class _Source(Section):
    """A file (or glob of files), or a database query."""

    path: str | None = None
    """CSV or Parquet file, or a glob of them, relative to the shop file."""
    url: str | None = None
    """SQLAlchemy URL of a database, instead of `path`. `${NAME}` is read from the environment."""
    query: str | None = None
    """The select to run at `url`."""
    separator: str = Field(default=",", min_length=1, max_length=1)
    """Column separator of CSV files."""
    decimal: DecimalMark | dict[str, DecimalMark] | None = None
    """Decimal mark of numbers that are text, or one for each field: `{ quantity = ".", unit_price =
    "," }`. Without it the numbers of each column decide. One mark for all gives way in a column
    that cannot be read by it (`0,350` where it is a point); the mark of a field never does."""
    thousands: ThousandsMark | dict[str, ThousandsMark] | None = None
    """Mark between thousands, or one for each field. Without it a space, an apostrophe, and the one
    of point and comma that is not the decimal mark."""
    encoding: str = "utf-8"
    """Text encoding of CSV files."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path, or url with query")
        if (self.url is None) != (self.query is None):
            raise ValueError("url and query belong together")
        return self

    def decimal_of(self, field: str) -> DecimalMark | None:
        """Return the decimal mark given for a field."""
        return self.decimal.get(field) if isinstance(self.decimal, dict) else self.decimal

    def thousands_of(self, field: str) -> ThousandsMark | None:
        """Return the mark between thousands given for a field."""
        return self.thousands.get(field) if isinstance(self.thousands, dict) else self.thousands

    def _check_marks(self, fields: Iterable[str]) -> None:
        for name, marks in (("decimal", self.decimal), ("thousands", self.thousands)):
            if isinstance(marks, dict) and (unknown := sorted(marks.keys() - {*fields})):
                raise ValueError(f"{name}: {', '.join(unknown)}: no field whose numbers are read")
        for field in fields:
            if None is not self.decimal_of(field) == self.thousands_of(field):
                raise ValueError(f"decimal and thousands of {field} are the same mark")


class _Columns(Section):
    """Source columns: one that is not named here is used where it bears a field's own name."""

    @field_validator("*", mode="before")
    @classmethod
    def _unused(cls, value: object) -> object:
        return None if value == "" else value


class OrderColumns(_Columns):
    """Source columns of each order line.

    A column that bears a field's own name (`unit_price`, `Unit price`) is used without being named
    here; `""` leaves it unused.
    """

    order_id: Columns = ("order_id",)
    """Lines with the same one are one order."""
    item_id: Columns = ("item_id",)
    """What was bought."""
    ordered_at: Columns | None = None
    """Date or date and time; two columns are joined (date, time). Local to `shop.timezone`."""
    customer_id: Columns | None = None
    """Who bought: kept as a keyed hash."""
    quantity: str | None = None
    """Units bought; a negative quantity is a return. 1 where no column is named."""
    unit_price: str | None = None
    """Price of one unit."""
    line_total: str | None = None
    """Price of the whole line, where there is no unit price: divided by the quantity."""
    discount: str | None = None
    """Discount on the line."""
    store_id: Columns | None = None
    """Outlet or shop of a chain; a call that names one is answered by its own rules."""
    currency: str | None = None
    """Lines in another currency than the shop's are left out and counted. A currency in a price
    (`59.90 EUR`) decides before this column."""
    amount_refunded: str | None = None
    """Money paid back of the line, or of the whole order: what was refunded whole is left out."""


class OrdersSection(_Source):
    """Source of the orders, and how it is read."""

    columns: OrderColumns = OrderColumns()
    """What the columns of the source are called: one, or several that make one key."""
    date_format: str | None = None
    """strftime pattern of `ordered_at`, `excel` (days since 1899-12-30) or `unix` (seconds);
    ISO 8601 and common forms are understood without it."""
    cancellation_prefix: str | None = None
    """Order ids that begin so (`C` in some shops) are cancellations: their lines are returns."""
    ignore_items: tuple[str, ...] = ()
    """Item ids that are no goods (postage, `NONE`): left out and counted."""
    only: dict[str, Columns] = Field(default={})
    """`{ status = ["paid"] }`: rows that say something else in this column are left out. A row that
    says nothing is taken to say what the other rows of its order do; `"*"` is any word but those
    for nothing (`0`, `no`, `false`)."""
    not_: dict[str, Columns] = Field(default={}, alias="not")
    """`{ status = ["cancelled"] }`: rows that say this are left out."""
    returns: dict[str, Columns] | None = None
    """`{ type = ["refund"] }`: rows that say this are returns. Where not given, rows of a column
    `type` or `transaction_type` that say `refund`, `return` or the like; `{}` for none."""
    split_orders: bool | None = None
    """Whether orders of one id are distinguished by day, store and customer. Where not given, by
    those of which more than a tenth of the ids have several, with a warning."""

    @model_validator(mode="after")
    def _marks(self) -> Self:
        self._check_marks(("quantity", "unit_price", "line_total", "discount", "amount_refunded"))
        return self


class CatalogueColumns(_Columns):
    """Source columns of each item.

    A column that bears a field's own name (`price`, `In stock`) is used without being named here;
    `""` leaves it unused.
    """

    item_id: Columns = ("item_id",)
    """As the orders call it."""
    name: Columns | None = None
    """Shown to buyers; the item id where not given."""
    category: Columns | None = None
    """Several columns make a path: `Dairy > Milk`."""
    family: Columns | None = None
    """Items that substitute for each other; ladders are built inside a family."""
    price: str | None = None
    """List price; the usual price of the orders where not given."""
    brand: str | None = None
    """Compared in upsell, as the attribute `brand`."""
    pack_size: str | None = None
    """Compared in upsell, as the attribute `pack_size`."""
    image_url: str | None = None
    """Address of a picture, answered with offers; of several in one cell the first."""
    cost: str | None = None
    """What one unit costs the shop, for margins."""
    in_stock: str | None = None
    """Yes or no: what is sold out is not offered."""
    active: str | None = None
    """Yes or no: what is not sold any more is not offered."""
    compatible_with: str | None = None
    """Item ids (separated by `;`, `|`, `,` or space) of which the cart must hold one."""
    bundle_of: str | None = None
    """Item ids of what a bundle holds; a bundle and its parts are not offered beside or instead of
    each other."""
    tier: str | None = None
    """The shop's own tiers inside a family, instead of learned ones: numbers, words that ascend
    as sizes do (`small`, `medium`), or words of `attribute_levels.tier`, the least first."""
    upgrades: str | None = None
    """Item ids of better versions of the item, offered whatever family and price step they are of,
    as long as they cost more."""


class AttributeLabel(Section):
    """Name of an attribute in offer texts; its column's own words where not given."""

    en: str | None = Field(default=None, min_length=1, max_length=100)
    """In English."""
    nb: str | None = Field(default=None, min_length=1, max_length=100)
    """In Norwegian."""


class _AttributeWords(Section):
    """Names and orders of the attributes compared in upsell."""

    attribute_labels: dict[str, AttributeLabel] = Field(default={})
    """`storage_gb = { en = "storage", nb = "lagring" }`, by attribute."""
    attribute_levels: dict[str, tuple[str, ...]] = Field(default={})
    """Words of an ordered attribute, the least first: `cut = ["fair", "good", "ideal"]`."""
    lower_is_better: tuple[str, ...] = ()
    """Attributes of which less is more: a weight, a noise level."""

    @model_validator(mode="after")
    def _levels_apart(self) -> Self:
        for attribute, levels in self.attribute_levels.items():
            distinct = {level.strip().casefold() for level in levels}
            if len(distinct) < max(len(levels), 2) or "" in distinct:
                raise ValueError(f"attribute_levels.{attribute} needs two or more different words")
        return self


class AttributesSection(_AttributeWords):
    """Forms and names of the attributes compared in upsell; served with every model."""

    decimals: dict[str, DecimalMark] = Field(default={})
    """Decimal mark of an attribute's numbers, where one is given; a point in all others."""


class CatalogueSection(_Source, _AttributeWords):
    """Source of the catalogue, and how it is read."""

    columns: CatalogueColumns = CatalogueColumns()
    """What the columns of the source are called."""
    attributes: tuple[str, ...] = ()
    """Columns compared in upsell: what is gained, what is lost."""

    @model_validator(mode="after")
    def _attributes_known(self) -> Self:
        self._check_marks(("price", "cost", *self.attributes))
        # These may also be columns of the file that bear the field's own name.
        attribute_names = {*self.attributes, "brand", "pack_size", "tier"}
        spoken_of = {*self.attribute_labels, *self.attribute_levels, *self.lower_is_better}
        if unknown := sorted(spoken_of - attribute_names):
            raise ValueError(f"{', '.join(unknown)}: not among the attributes")
        return self

    @property
    def reading(self) -> AttributesSection:
        """What serving needs of it: no paths, no columns."""
        return AttributesSection(
            attribute_labels=self.attribute_labels,
            attribute_levels=self.attribute_levels,
            lower_is_better=self.lower_is_better,
            decimals={
                name: mark
                for name in self.attributes
                if (mark := self.decimal_of(name)) is not None
            },
        )


class LogColumns(Section):
    """Columns of an offer log."""

    event: Name | None = None
    """What happened to an offer."""
    outcome: Name | None = None
    """In a log of one row for each offer: accepted or not."""
    customer: Name | None = None
    """The customer; without it each row has a unit of its own."""
    offer: Name
    """What was offered."""
    time: Name | None = None
    """When; without it rows are in the order of the file, from `time.start` on."""
    amount: Name | None = None
    """What a purchase was worth."""
    duration: Name | None = None
    """Days the offer stays open."""
    segment: Name | None = None
    """What offers are grouped by."""
    id: Name | None = None
    """Column that tells rows apart: a second row of an id is a copy of the first. Without it equal
    rows are different offers."""

    @model_validator(mode="after")
    def _one_log(self) -> Self:
        if (self.event is None) == (self.outcome is None):
            raise ValueError(
                "name either event (what happened to an offer) or outcome (whether the offer of the"
                " row was accepted)"
            )
        return self


class LogTime(Section):
    """Times that are numbers."""

    unit: Literal["milliseconds", "seconds", "minutes", "hours", "days"] | None = None
    """What one of them is; times are ISO 8601 where it is not given."""
    start: Moment = date(1970, 1, 1)
    """What they count from, in UTC where it has no offset."""

    @property
    def start_micros(self) -> int:
        """`start` in microseconds since the epoch."""
        return Validity.between(self.start, None, ZoneInfo("UTC")).start


class LogOffers(Section):
    """The offers of the log."""

    kind: Kind = "cross_sell"
    days: Days = Decimal(7)
    """How long an offer stays open."""
    durations: Mapping[str, Days] = Field(default_factory=dict[str, Decimal])
    """The same for single offers."""
    currency: Name | None = None
    """Of the amounts."""


class LogMap(Section):
    """Columns and words of an offer log, and the facts that its rows become.

    A log has either a column `event`, of what happened to an offer, or a column `outcome`: one row
    for each offer, with whether it was accepted.
    """

    columns: LogColumns
    events: Mapping[Step, Words] = Field(default_factory=dict[Step, tuple[str, ...]])
    """Words of the column `event` by what they mean; rows of other words are left out."""
    outcomes: Mapping[Outcome, Words] = Field(default_factory=dict[Outcome, tuple[str, ...]])
    """Words of the column `outcome`; the usual ones, in any case, where none is given."""
    time: LogTime = LogTime()
    offers: LogOffers = LogOffers()

    @model_validator(mode="after")
    def _words_mean_one_thing(self) -> Self:
        if self.columns.event is not None and "received" not in self.events:
            raise ValueError("events.received is missing: which words mean that?")
        if self.outcomes and "accepted" not in self.outcomes:
            raise ValueError("outcomes.accepted is missing: which words mean that?")
        for table in (self.events, self.outcomes):
            meanings: dict[str, str] = {}
            for meaning, words in table.items():
                for word in words:
                    if meanings.setdefault(word, meaning) != meaning:
                        raise ValueError(f"{word!r} is both {meanings[word]} and {meaning}")
        return self

    @cached_property
    def steps(self) -> Mapping[str, Step]:
        """What each word of the column `event` means."""
        return {word: step for step, words in self.events.items() for word in words}

    @property
    def named_columns(self) -> list[str]:
        """The columns that the map names."""
        return [name for name in self.columns.model_dump().values() if name is not None]

    def outcome_of(self, word: str) -> Outcome | None:
        """Return what a word of the outcome column means; None for an unknown one."""
        if self.outcomes:
            return next((each for each, words in self.outcomes.items() if word in words), None)
        usual, word = word_sets("mersalg.engine", "outcomes"), word.strip().lower()
        return next((outcome for outcome in OUTCOMES if word in usual[outcome]), None)

    def instant(self, text: str) -> int:
        """Return the instant of a time; raises FactRejected for what is no time."""
        try:
            if self.time.unit is None:
                return parse_instant(text)
            unit = timedelta(**{self.time.unit: 1}) // timedelta(microseconds=1)
            instant = self.time.start_micros + int(Decimal(text) * unit)
            clock.to_datetime(instant)
        except (ValueError, OverflowError, InvalidOperation) as error:
            message = f"{self.columns.time}: {text!r} is no time: {error}"
            raise FactRejected("invalid", message) from error
        return instant

    def open_for(self, offer: str, duration: str | None) -> int:
        """Return how many microseconds an offer stays open; raise FactRejected for no number."""
        days = self.offers.durations.get(offer, self.offers.days)
        if duration:
            try:
                days = Decimal(duration)
            except InvalidOperation as error:
                message = f"{self.columns.duration}: {duration!r} is no number of days"
                raise FactRejected("invalid", message) from error
        if not days.is_finite() or days < 0:
            raise FactRejected("invalid", f"{days} is no number of days")
        return int(days * clock.MICROS_PER_DAY)
