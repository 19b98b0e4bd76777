"""The map of another system's offer log: which column says what, as a TOML file."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cached_property
from typing import Annotated, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import Field, model_validator

from mersalg.engine import clock
from mersalg.engine.errors import FactRejected
from mersalg.engine.facts import Kind
from mersalg.engine.merchandising.sections import Columns, Moment, Section, Validity

Step = Literal["received", "viewed", "completed", "purchased"]
STEPS: tuple[Step, ...] = get_args(Step)
Outcome = Literal["accepted", "declined"]

_UNITS = {
    "milliseconds": 1_000,
    "seconds": 1_000_000,
    "minutes": 60_000_000,
    "hours": 3_600_000_000,
    "days": clock.MICROS_PER_DAY,
}

_USUAL_OUTCOMES: Mapping[Outcome, tuple[str, ...]] = {
    "accepted": tuple("accepted accept yes y true t 1 ja j sant".split()),
    "declined": tuple("declined decline rejected refused no n false f 0 nei usann".split()),
}

Name = Annotated[str, Field(min_length=1)]
Words = Columns
"""One word, or several that mean the same."""
Days = Annotated[Decimal, Field(ge=0, allow_inf_nan=False)]


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
            known: dict[str, str] = {}
            for meaning, words in table.items():
                for word in words:
                    if known.setdefault(word, meaning) != meaning:
                        raise ValueError(f"{word!r} is both {known[word]} and {meaning}")
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
        if not self.outcomes:
            word = word.strip().lower()
        words = self.outcomes or _USUAL_OUTCOMES
        return next((outcome for outcome in words if word in words[outcome]), None)

    def instant(self, text: str) -> int:
        """Return the instant of a time; raises FactRejected for what is no time."""
        try:
            if self.time.unit is None:
                return clock.parse_instant(text)
            instant = self.time.start_micros + int(Decimal(text) * _UNITS[self.time.unit])
            clock.to_datetime(instant)
        except (ValueError, OverflowError, InvalidOperation) as error:
            message = f"{self.columns.time}: {text!r} is no time: {error}"
            raise FactRejected("invalid", message) from error
        return instant

    def open_for(self, offer: str, duration: str | None) -> int:
        """Return how many microseconds an offer stays open.

        Raises
        ------
        FactRejected
            The duration is no number of days.
        """
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
