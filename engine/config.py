"""The shop file: one TOML that says where a shop's data is and how it wants to sell.

Every model is frozen and forbids unknown keys, so a typo is an error and never a silent default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel.numbers import list_currencies
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from mersalg.engine.decoding import nearest
from mersalg.engine.errors import ConfigError
from mersalg.engine.experiment import PUBLIC_SALT
from mersalg.engine.locales import spoken_in
from mersalg.engine.merchandising.sections import OffersSection, Section
from mersalg.engine.mining_engines import EngineName
from mersalg.engine.source_sections import CatalogueSection, OrdersSection

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

Counting = Literal["vouched", "all"]
Impressions = Literal["viewed", "served"]
Consent = Literal["assumed", "required"]
CHECKOUT_DAYS = 30
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_Section = TypeVar("_Section", bound=Section)


class ShopSection(Section):
    """The shop itself."""

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
        if spoken_in(value) is None:
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


class TrainingSection(Section):
    """Settings of training a model."""

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
    """The hold-out."""

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
    worthwhile_effect: float = Field(default=0.01, gt=0, lt=1)
    """Added share of checkouts that is worth having: for how many more days the dashboard asks to
    wait is how long it takes to see so much."""

    def salt_of(self, stored: str | None) -> str | None:
        """Return the salt that arms are drawn with where a database has `stored`."""
        return stored if self.salt in (None, PUBLIC_SALT) else self.salt


class TrackingSection(Section):
    """Settings of attributing and counting outcomes."""

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
    """Conditions that a version must meet to be published."""

    max_hit_rate_drop: float = Field(default=0.05, ge=0, le=1)
    """Relative fall in back-tested hit rate against the published version that is still let by."""
    max_shrink: float = Field(default=0.5, ge=0, le=1)
    """Relative fall in orders, items or carts that are offered anything, against the published
    version, that is still let by."""


class AlertsSection(Section):
    """Addresses for messages about problems that need a person."""

    webhook: str | None = Field(default=None, pattern=r"^(https?://|\$\{)")
    """Address that gets a message (`POST`, JSON with `text`, as Slack and Mattermost read it) when
    offers are paused, effects are blocked, no suggestion or no purchase has come for a day, facts
    wait in the spool, or a training was refused. `${NAME}` is read from the environment."""

    def address(self) -> str | None:
        """Return the webhook's address; raise ConfigError where it cannot be one."""
        if self.webhook is None:
            return None
        address = expand_environment(self.webhook, "alerts.webhook")
        if not address.startswith(("https://", "http://")):
            raise ConfigError("alerts.webhook must begin with https:// or http://")
        return address


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
    alerts: AlertsSection = AlertsSection()

    @model_validator(mode="after")
    def _periods_last(self) -> Self:
        for name, rules in (("pins", self.offers.pins), ("blocks", self.offers.blocks)):
            for index, rule in enumerate(rules):
                if not rule.validity(self.shop.timezone).lasts:
                    raise ValueError(f"offers.{name}.{index}: until must come after from")
        return self


def parse_config(data: Mapping[str, object], *, source: str = "shop file") -> ShopConfig:
    """Raise ConfigError that names every wrong key by its dotted path."""
    return _parsed(data, ShopConfig, source)


def _parsed(data: Mapping[str, object], kind: type[_Section], source: str) -> _Section:
    try:
        return kind.model_validate(data)
    except ValidationError as error:
        problems = [_problem(issue, kind) for issue in error.errors()]
        raise ConfigError(
            f"{source}: " + "; ".join(problems), details={"problems": problems}
        ) from error


def _problem(issue: ErrorDetails, kind: type[Section]) -> str:
    location = issue["loc"]
    where = ".".join(str(part) for part in location) or "file"
    if issue["type"] != "extra_forbidden":
        return f"{where}: {issue['msg']}"
    models: list[type[BaseModel]] = [kind]
    for part in location[:-1]:
        if isinstance(part, str):
            models = [
                inner
                for model in models
                for name, field in model.model_fields.items()
                if part in (name, field.alias)
                for inner in _models_in(field.annotation)
            ]
    names = [field.alias or name for model in models for name, field in model.model_fields.items()]
    closest = nearest(str(location[-1]), names)
    return f"{where} is not a setting" + (f"; did you mean {closest}?" if closest else "")


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models_in(part)]


def load_config(path: Path) -> ShopConfig:
    """Read a shop TOML file; relative data paths stay relative to its folder.

    Raise ConfigError for a missing file, broken TOML, and unknown or impossible settings.
    """
    return load_section(path, ShopConfig)


def load_section(path: Path, kind: type[_Section]) -> _Section:
    """Read a TOML file of settings of a `kind`; raises as `load_config`."""
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
    return _parsed(data, kind, str(path))


def expand_environment(text: str, setting: str) -> str:
    """Return a text with every `${NAME}` replaced by the variable of the environment.

    Raise ConfigError, which names the `setting`, where the variable is not set.
    """

    def value_of(match: re.Match[str]) -> str:
        value = os.environ.get(match[1])
        if value is None:
            raise ConfigError(f"the environment variable {match[1]} (in {setting}) is not set")
        return value

    return _VARIABLE.sub(value_of, text)
