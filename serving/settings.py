"""Settings of the service: from flags, then from `MERSALG_*`, then defaults."""

from __future__ import annotations

import ipaddress
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Self

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)

from mersalg.engine.decoding import nearest
from mersalg.engine.errors import ConfigError
from mersalg.engine.storage.connection import parse_url
from mersalg.serving.addresses import parse_network
from mersalg.serving.keys import KeyRing, load_keys
from mersalg.serving.logs import LogFormat, LogLevel

PREFIX = "MERSALG_"
_SHORTEST_SECRET = 16


def _as_words(value: object) -> object:
    return tuple(value.replace(",", " ").split()) if isinstance(value, str) else value


class ServeSettings(BaseModel):
    """Frozen; every field but the last six can come from `MERSALG_<FIELD>`."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, arbitrary_types_allowed=True
    )

    models: Path = Path("models")
    """Folder of trained versions."""
    database: str = Field(default="sqlite:///mersalg.db", min_length=1)
    """SQLAlchemy URL of the database that holds the facts."""
    host: str = Field(default="127.0.0.1", min_length=1)
    """Address to listen on; any but loopback needs keys."""
    port: int = Field(default=8000, ge=0, le=65_535)
    """Port to listen on; 0 takes a free one."""
    workers: int = Field(default=1, ge=1, le=64)
    """Processes that answer."""
    connections: int = Field(default=8192, ge=64)
    """Connections of each worker; fewer where the system allows fewer open files."""
    address_connections: int = Field(default=256, ge=0)
    """Connections that one address may hold to each worker; 0 sets no limit."""
    idle_seconds: float = Field(default=30, ge=0.1, le=600)
    """How long a connection may take to send the head of its first request, and of each next."""
    body_limit_bytes: int = Field(default=1_048_576, ge=1024)
    """Largest request body."""
    storefront_body_bytes: int = Field(default=262_144, ge=1024)
    """Largest request body with a storefront key, which any page shows."""
    storefront_lines: int = Field(default=300, ge=1, le=10_000)
    """Maximum number of lines of a cart and items of other lists, with a storefront key."""
    storefront_labels: int = Field(default=200, ge=1)
    """Segments, stores and placements, of each so many a day, that calls with storefront keys may
    add in each worker to those of server keys; the rest are recorded as `other`."""
    max_events: int = Field(default=1000, ge=1)
    """Maximum number of events of one call."""
    database_deadline_ms: int = Field(default=50, ge=1)
    """How long a suggestion call waits for the database before its fact goes to the spool."""
    spool_deadline_ms: int = Field(default=250, ge=1)
    """How long it then waits for the spool before it answers that tracking is off."""
    events_deadline_ms: int = Field(default=10_000, ge=1)
    """How long a call that sends events waits for the database before it answers 503."""
    batch_facts: int = Field(default=512, ge=1)
    """Maximum number of facts written in one transaction."""
    spool: Path | None = None
    """Folder of the spool; beside a SQLite database, else `mersalg-spool`, where not given."""
    spool_limit_bytes: int = Field(default=268_435_456, ge=0)
    """Largest size of the spool; 0 switches it off."""
    model_poll_seconds: float = Field(default=0.5, gt=0)
    """How often the published version is looked at."""
    config: Path | None = None
    """Shop file whose `[offers]` (pins, blocks, limits, caps, margins) and `[alerts]` are followed
    as it changes; where not given, they are those of the training."""
    live_poll_seconds: float = Field(default=0.4, gt=0)
    """Seconds between two checks for items and rules that other workers changed."""
    guardrail_seconds: float = Field(default=900, gt=0)
    """Seconds between two judgements whether offers keep buyers from completing checkouts."""
    guardrail_poll_seconds: float = Field(default=5, gt=0)
    """Seconds between two checks whether offers were paused or resumed."""
    alert_seconds: float = Field(default=60, gt=0)
    """Seconds between two checks for alerts (see `[alerts]` of the shop file)."""
    key_rate: float = Field(default=5_000, ge=0)
    """Calls a second that one key may make of each worker; 0 sets no limit."""
    address_rate: float = Field(default=100, ge=0)
    """Calls a second that one address may make with storefront keys; 0 sets no limit."""
    refusal_rate: float = Field(default=1, ge=0)
    """Calls a second that one address may make without a known key, 60 at once; 0: no limit."""
    trusted_proxies: Annotated[tuple[str, ...], BeforeValidator(_as_words)] = ()
    """Addresses or networks of proxies whose `X-Forwarded-For` is believed (`10.0.0.0/8`)."""
    storefront_recall: bool = False
    """Whether suggestion calls with storefront keys, which any page shows, are answered by what
    the customer they name bought and dismissed, also without a valid checkout token. Say yes only
    where nobody can guess ids of customers."""
    keys_poll_seconds: float = Field(default=1.0, gt=0)
    """Seconds between two checks of the key file."""
    report_cache_seconds: float = Field(default=5.0, ge=0)
    """Seconds for which a computed report is answered again."""
    allowed_origins: Annotated[tuple[str, ...], BeforeValidator(_as_words)] = ()
    """Web origins whose pages may call the API from a browser (`https://shop.example`)."""
    stuck_seconds: float = Field(default=30, ge=0)
    """A worker whose event loop is blocked for so long is ended and replaced; 0: never."""
    drain_seconds: float = Field(default=0, ge=0, le=600)
    """Seconds for which the service answers after SIGTERM while `/readyz` already says no."""
    log_format: LogFormat = "human"
    """Log lines for people, or `json`: one object a line."""
    log_level: LogLevel = "info"
    """Lowest level that is logged: `debug`, `info`, `warning` or `error`."""
    access_log: bool = False
    """Whether a line is logged for every request."""
    traces: bool = False
    """Whether calls are traced by OpenTelemetry, where the `OTEL_` variables say."""
    keys: KeyRing = Field(default=KeyRing(), repr=False)
    """API keys, as digests; none at all opens every scope, on loopback only."""
    session_secret: bytes = Field(default_factory=lambda: secrets.token_bytes(32), repr=False)
    """Signs dashboard sessions; shared by the workers, forgotten at a restart."""
    shopify_secret: bytes | None = Field(default=None, repr=False)
    """Proves Shopify's webhooks; none are taken without it."""
    checkout_secret: bytes | None = Field(default=None, repr=False)
    """Proves the checkout tokens of pages; none are valid without it."""
    share_secret: bytes | None = Field(default=None, repr=False)
    """Signs links to pages of the dashboard; none are made or valid without it."""
    stopping: Path | None = None
    """File that says that the service is stopping; made by `mersalg serve`."""
    parent: int | None = None
    """Process without which a worker ends; set by `mersalg serve`."""

    @model_validator(mode="after")
    def _keys_where_strangers_may_call(self) -> Self:
        if not self.keys and not self.on_loopback:
            raise ValueError(
                f"listening on {self.host} needs API keys: set MERSALG_KEYS or MERSALG_KEYS_FILE"
                " (scope:key, scopes storefront, server, report, admin), or listen on 127.0.0.1"
            )
        return self

    @field_validator("checkout_secret", "share_secret")
    @classmethod
    def _long(cls, secret: bytes | None) -> bytes | None:
        if secret is not None and len(secret) < _SHORTEST_SECRET:
            raise ValueError(f"is shorter than {_SHORTEST_SECRET} bytes")
        return secret

    @field_validator("trusted_proxies")
    @classmethod
    def _networks(cls, named: tuple[str, ...]) -> tuple[str, ...]:
        for text in named:
            try:
                parse_network(text)
            except ValueError as error:
                raise ValueError(f"{text} is no address or network: {error}") from error
        return named

    @property
    def on_loopback(self) -> bool:
        """Whether only programs of this machine reach the address."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host.strip("[]")).is_loopback
        except ValueError:
            return False

    @property
    def spool_folder(self) -> Path:
        """The folder in which facts wait for the database."""
        return self.spool if self.spool is not None else default_spool(self.database)


def default_spool(database: str) -> Path:
    """Return where facts wait for the database at a URL, where no folder is set."""
    parsed = parse_url(database)
    path = parsed.database
    if parsed.get_backend_name() == "sqlite" and path and path != ":memory:":
        return Path(f"{path}.spool")
    return Path("mersalg-spool")


_SECRETS = ("shopify_secret", "checkout_secret", "share_secret")
FILES = (
    *("KEYS_FILE", "SECRET_FILE", "SHOPIFY_SECRET_FILE"),
    *("CHECKOUT_SECRET_FILE", "SHARE_SECRET_FILE", "DATABASE_FILE"),
)
"""Variables, without their prefix, that name files of secrets."""
_FROM_ENVIRONMENT = frozenset(ServeSettings.model_fields) - {
    *("keys", "session_secret", *_SECRETS, "parent", "stopping")
}

_VARIABLES = frozenset(
    PREFIX + name
    for name in (
        *(name.upper() for name in _FROM_ENVIRONMENT),
        *("SPARK_CONF", "SPARK_MASTER", *FILES, *(name.removesuffix("_FILE") for name in FILES)),
    )
)


def load_settings(environment: Mapping[str, str], **flags: object) -> ServeSettings:
    """Return settings from `environment`; flags that are not None go before it.

    Raises ConfigError, which names every setting that is wrong by its variable.
    """
    values: dict[str, object] = {
        name: environment[PREFIX + name.upper()]
        for name in _FROM_ENVIRONMENT
        if environment.get(PREFIX + name.upper())
    }
    problems = [
        f"{name} is not a setting; did you mean {closest}?"
        for name in sorted(environment)
        if name.startswith(PREFIX) and name not in _VARIABLES
        if (closest := nearest(name, sorted(_VARIABLES)))
    ]
    if problems:
        raise ConfigError("; ".join(problems), details={"problems": problems})
    values |= {name: value for name, value in flags.items() if value is not None}
    values.setdefault("keys", load_keys(environment))
    for name in _SECRETS:
        values.setdefault(name, _secret(environment, name.upper()))
    if "database" not in values and (named := database_from_file(environment)):
        values["database"] = named
    try:
        return ServeSettings.model_validate(values)
    except ValidationError as error:
        problems = [_problem(issue["loc"], issue["msg"]) for issue in error.errors()]
        raise ConfigError("; ".join(problems), details={"problems": problems}) from error


def database_from_file(environment: Mapping[str, str]) -> str | None:
    """Return the URL in the file named by `MERSALG_DATABASE_FILE`.

    So one with a password need not be in the environment. None where there is no such file, or
    `MERSALG_DATABASE` is set.

    Raises ConfigError: the file cannot be read, or is empty.
    """
    if environment.get(f"{PREFIX}DATABASE"):
        return None
    url = _secret(environment, "DATABASE")
    return url.decode() if url else None


def _secret(environment: Mapping[str, str], name: str) -> bytes | None:
    """Return the variable, else what is in the file that `..._FILE` names; None without either."""
    value = environment.get(PREFIX + name)
    named = environment.get(f"{PREFIX}{name}_FILE")
    if value or not named:
        return value.encode() if value else None
    try:
        content = Path(named).read_bytes().strip()
    except OSError as error:
        raise ConfigError(f"{PREFIX}{name}_FILE: cannot read {named}: {error.strerror}") from error
    if not content:
        raise ConfigError(f"{PREFIX}{name}_FILE: {named} is empty")
    return content


def _problem(where: tuple[int | str, ...], message: str) -> str:
    said = message.removeprefix("Value error, ")
    return f"{where[0]} ({PREFIX}{str(where[0]).upper()}): {said}" if where else said
