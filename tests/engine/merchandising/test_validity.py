"""When pins and blocks hold: half-open periods by the shop's own clock."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mersalg.engine import clock
from mersalg.engine.fact_values import parse_instant
from mersalg.engine.merchandising.sections import Validity, parse_moment

OSLO, NEW_YORK = ZoneInfo("Europe/Oslo"), ZoneInfo("America/New_York")


def _at(text: str) -> int:
    return parse_instant(text)


def test_dates_are_days_of_the_shop() -> None:
    november = Validity.between(date(2026, 11, 1), date(2026, 12, 1), OSLO)
    assert _at("2026-10-31T23:59:59.999999+01:00") not in november
    assert _at("2026-11-01T00:00:00+01:00") in november
    assert _at("2026-11-30T23:59:59.999999+01:00") in november
    assert _at("2026-12-01T00:00:00+01:00") not in november
    # The same days begin six hours later in New York.
    there = Validity.between(date(2026, 11, 1), date(2026, 12, 1), NEW_YORK)
    assert _at("2026-11-01T00:00:00+01:00") not in there
    assert there.start - november.start == 5 * 3_600_000_000  # it still has summer time


def test_summer_time_makes_days_of_23_and_25_hours() -> None:
    spring = Validity.between(date(2026, 3, 29), date(2026, 3, 30), OSLO)
    autumn = Validity.between(date(2026, 10, 25), date(2026, 10, 26), OSLO)
    assert (spring.end - spring.start, autumn.end - autumn.start) == (
        23 * 3_600_000_000,
        25 * 3_600_000_000,
    )


def test_times_are_local_unless_they_carry_an_offset() -> None:
    local = Validity.between(datetime(2026, 7, 1, 9, 30), None, OSLO)  # noqa: DTZ001
    assert clock.to_iso(local.start) == "2026-07-01T07:30:00+00:00"
    offset = timezone(timedelta(hours=-3))
    reported = Validity.between(datetime(2026, 7, 1, 9, 30, tzinfo=offset), None, OSLO)
    assert clock.to_iso(reported.start) == "2026-07-01T12:30:00+00:00"
    assert local.turns == {local.start}


def test_open_ends_hold_at_every_instant_that_can_be_written() -> None:
    always = Validity.between(None, None, OSLO)
    for moment in (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)):
        assert clock.to_micros(moment) in always
    assert always.turns == frozenset()
    assert always.lasts


@given(st.dates(date(1990, 1, 1), date(2100, 1, 1)), st.dates(date(1990, 1, 1), date(2100, 1, 1)))
def test_adjoining_periods_neither_overlap_nor_leave_a_gap(one: date, other: date) -> None:
    before, after = Validity.between(None, one, OSLO), Validity.between(one, None, OSLO)
    moment = Validity.between(other, None, OSLO).start
    assert (moment in before) != (moment in after)
    assert Validity.between(one, other, OSLO).lasts == (one < other)


def test_moments_are_read_as_toml_and_as_text() -> None:
    assert parse_moment("2026-11-01") == date(2026, 11, 1)
    assert type(parse_moment("2026-11-01")) is date
    assert parse_moment("2026-11-01T08:00:00+01:00") == datetime(2026, 11, 1, 7, tzinfo=UTC)
    for wrong in (20261101, "1 November", "2026-02-30", None, True):
        with pytest.raises(ValueError):
            parse_moment(wrong)
