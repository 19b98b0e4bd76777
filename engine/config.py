"""The shop file: one TOML that says where a shop's data lies and how it wants to sell.

Every model is frozen and forbids unknown keys, so a typo is an error and never a silent default.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.numbers import list_currencies
from pydantic import (
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from engine.errors import ConfigError
from engine.experiment import PUBLIC_SALT
from engine.locales import is_spoken
from engine.merchandising.sections import Columns, OffersSection, Section
from engine.mining_engines import EngineName

Counting = Literal["vouched", "all"]
Impressions = Literal["viewed", "served"]
Consent = Literal["assumed", "required"]
CHECKOUT_DAYS = 30


class ShopSection(Section):
    name: str = Field(min_length=1)
    """Shown in reports and on the dashboard."""
    currency: str = Field(pattern=r"^[A-Z]{3}$")
    """ISO 4217 code of every price in the files."""
    timezone: str = "UTC"
    """IANA name; days, weeks and months of reports are those of this zone."""
    locale: str = "en"
    """Language of offer texts where a call names none: `en` or `nb`."""
    prices_include_tax: bool = True
    """Whether prices of the catalogue, of carts and of purchases include tax: they are those that
    buyers are shown. Reports credit offers without tax, as far as purchases say how much it was."""

    @field_validator("currency")
    @classmethod
    def _known_currency(cls, currency: str) -> str:
        if currency not in list_currencies():
            raise ValueError(f"no currency of ISO 4217 is called {currency}")
        return currency

    @field_validator("locale")
    @classmethod
    def _spoken(cls, value: str) -> str:
        if not is_spoken(value):
            raise ValueError(f"no offer text is written in {value!r}: choose en or nb")
        return value

    @field_validator("timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"unknown time zone {value!r}") from error
        return value


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
    decimal: Literal[".", ","] = "."
    """Decimal mark of numbers in CSV files."""
    encoding: str = "utf-8"
    """Text encoding of CSV files."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.path is None) == (self.url is None):
            raise ValueError("give either path, or url with query")
        if (self.url is None) != (self.query is None):
            raise ValueError("url and query belong together")
        return self


class OrderColumns(Section):
    """Source columns of each order line."""

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
    """Lines in another currency than the shop's are left out and counted."""


class OrdersSection(_Source):
    columns: OrderColumns = OrderColumns()
    """What the columns of the source are called: one, or several that make one key."""
    date_format: str | None = None
    """strftime pattern of `ordered_at`; ISO 8601 and common forms are understood without it."""
    cancellation_prefix: str | None = None
    """Order ids that begin so (`C` in some shops) are cancellations: their lines are returns."""
    ignore_items: tuple[str, ...] = ()
    """Item ids that are no goods (postage, `NONE`): left out and counted."""


class CatalogueColumns(Section):
    """Source columns of each item."""

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
    """What an attribute is called in offer texts; its column's own words where not given."""

    en: str | None = Field(default=None, min_length=1, max_length=100)
    """In English."""
    nb: str | None = Field(default=None, min_length=1, max_length=100)
    """In Norwegian."""


class AttributesSection(Section):
    """How the attributes compared in upsell are read and told; served with every model."""

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


class CatalogueSection(_Source, AttributesSection):
    columns: CatalogueColumns = CatalogueColumns()
    """What the columns of the source are called."""
    attributes: tuple[str, ...] = ()
    """Columns compared in upsell: what is gained, what is lost."""

    @model_validator(mode="after")
    def _attributes_known(self) -> Self:
        known = {*self.attributes}
        for name in ("brand", "pack_size"):
            known |= {name} if getattr(self.columns, name) is not None else set()
        known |= {"tier"} if self.columns.tier is not None else set()
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
        )


class TrainingSection(Section):
    engine: EngineName = "local"
    """Mining engine; all agree to the integer."""
    min_count: int | None = Field(default=None, ge=2)
    """Orders an itemset must stand in. Where not given: 0.03% of the orders, at least 5, and more
    where over 400,000 sets of items (with mlxtend 30,000 pairs) would reach that."""
    max_length: int = Field(default=2, ge=2, le=4)
    """Items in an itemset, consequent included."""
    max_q: float = Field(default=0.05, gt=0, le=1)
    """Benjamini-Hochberg q-value a rule must stay under."""
    max_basket_size: int = Field(default=500, ge=2)
    """Larger orders (wholesale, data errors) are left out of mining and counted."""
    test_share: float = Field(default=0.2, gt=0, lt=0.9)
    """Last share of the time span, or of the orders where that begins later, held out for the
    back-test."""
    half_life_days: float | None = Field(default=None, gt=0)
    """Days after which an order counts half in ranking; evidence stays true counts. Off by
    default: every order counts the same."""
    remember: bool | None = None
    """Has no effect any more, and is accepted with a warning in this release alone."""


class ExperimentSection(Section):
    holdout: float = Field(default=0.1, ge=0, le=1)
    """Share of units in the control arm, who see no offers."""
    salt: str | None = Field(default=None, min_length=1)
    """Another salt is another experiment: the arm of every unit is drawn again. Without it, the
    database's own random salt is used."""
    guardrail: bool = True
    """Pause the offers of a model version that keeps buyers from completing their checkouts."""
    max_completion_drop: float = Field(default=0, ge=0, le=1)
    """Fall in completed checkouts, as a share of them, that is put up with: 0.01 is one point."""
    guardrail_checkouts: int = Field(default=500, ge=1)
    """Checkouts in each arm before anything is judged."""

    def salt_of(self, stored: str | None) -> str | None:
        """Return the salt that arms are drawn with where a database has `stored`."""
        return stored if self.salt in (None, PUBLIC_SALT) else self.salt


class TrackingSection(Section):
    count: Counting = "all"
    """`vouched`: reports and guardrail count only checkouts that the shop's server vouches for,
    whose suggestion call came with a server key or a valid `checkout_token`. `all`: also those that
    only a storefront key knows, which anybody can make."""
    impressions: Impressions = "viewed"
    """When an offer counts as shown."""
    attribution_window_days: int = Field(default=0, ge=0, le=30)
    """0: only purchases of the same checkout are credited."""
    checkout_days: int = Field(default=CHECKOUT_DAYS, ge=1, le=365)
    """Days after an offer in which a purchase of its checkout is credited."""
    bot_decisions_per_hour: int = Field(default=120, ge=0)
    """A session that asks for more suggestions than that within an hour is a bot for that hour, and
    reports leave it out; 0 trusts every session."""
    consent: Consent = "assumed"
    """Whether customer and session ids are kept (hashed) of a call or event that does not say. A
    `consent` of its own decides otherwise; the counts work either way."""


class GateSection(Section):
    max_hit_rate_drop: float = Field(default=0.05, ge=0, le=1)
    """Relative fall in back-tested hit rate against the published version that is still let by."""
    max_shrink: float = Field(default=0.5, ge=0, le=1)
    """Relative fall in orders or items against the published version that is still let by."""


class ShopConfig(Section):
    """A whole shop file."""

    shop: ShopSection
    orders: OrdersSection
    catalogue: CatalogueSection | None = None
    """Without it the items, and their usual prices, are taken from the orders."""
    training: TrainingSection = TrainingSection()
    offers: OffersSection = OffersSection()
    experiment: ExperimentSection = ExperimentSection()
    tracking: TrackingSection = TrackingSection()
    gate: GateSection = GateSection()

    @model_validator(mode="after")
    def _age_is_known(self) -> Self:
        if self.training.half_life_days is not None and self.orders.columns.ordered_at is None:
            raise ValueError("training.half_life_days needs orders.columns.ordered_at")
        return self

    @model_validator(mode="after")
    def _periods_last(self) -> Self:
        for name, rules in (("pins", self.offers.pins), ("blocks", self.offers.blocks)):
            for place, rule in enumerate(rules):
                if not rule.validity(self.shop.timezone).lasts:
                    raise ValueError(f"offers.{name}.{place}: until must come after from")
        return self


def parse_config(data: Mapping[str, object], *, source: str = "shop file") -> ShopConfig:
    """Raises ConfigError that names every wrong key by its dotted path."""
    try:
        return ShopConfig.model_validate(data)
    except ValidationError as error:
        problems = [
            f"{'.'.join(str(part) for part in issue['loc']) or 'file'}: {issue['msg']}"
            for issue in error.errors()
        ]
        raise ConfigError(
            f"{source}: " + "; ".join(problems), details={"problems": problems}
        ) from error


def load_config(path: Path) -> ShopConfig:
    """Read a shop TOML file; relative data paths stay relative to its folder.

    Raises:
        ConfigError: missing file, broken TOML, unknown or impossible settings.
    """
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    try:
        text = raw.decode("utf-8-sig")  # some editors begin with a mark
    except UnicodeDecodeError as error:
        line = raw[: error.start].count(b"\n") + 1
        raise ConfigError(f"{path} is not UTF-8 text (line {line}); save it as UTF-8") from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    return parse_config(data, source=str(path))
