"""Sections of the shop file about its data: where they are, and what their columns hold."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, field_validator, model_validator

from mersalg.engine.merchandising.sections import Columns, Section

DecimalMark = Literal[".", ","]
ThousandsMark = Literal[",", ".", " ", "'"]


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
        known = {*self.attributes, "brand", "pack_size", "tier"}
        spoken_of = {*self.attribute_labels, *self.attribute_levels, *self.lower_is_better}
        if unknown := sorted(spoken_of - known):
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
