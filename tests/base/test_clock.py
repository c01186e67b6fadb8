"""Time, written and read."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from libs.base import SystemClock, parse_rfc3339, rfc3339, rfc3339_micro
from libs.base.clock import span

MOMENT = datetime(2026, 11, 22, 10, 0, 0, 1500, tzinfo=UTC)


def test_times_are_written_as_kubernetes_writes_them():
    assert rfc3339(MOMENT) == "2026-11-22T10:00:00Z"
    assert rfc3339_micro(MOMENT) == "2026-11-22T10:00:00.001500Z"


def test_a_time_of_another_zone_is_written_in_utc():
    assert rfc3339(MOMENT.astimezone(timezone(timedelta(hours=2)))) == "2026-11-22T10:00:00Z"


def test_what_was_written_is_read_back():
    assert parse_rfc3339(rfc3339_micro(MOMENT)) == MOMENT


def test_a_time_without_a_zone_is_refused_with_what_to_do():
    with pytest.raises(ValueError, match="has no time zone: end it with Z"):
        parse_rfc3339("2026-11-22T10:00:00")


async def test_the_system_clock_goes_forward_while_it_sleeps():
    clock = SystemClock()
    before, wall = clock.monotonic(), clock.now()
    await clock.sleep(0.01)
    assert clock.monotonic() - before >= 0.009
    assert clock.now() > wall
    assert clock.now().tzinfo is UTC


def test_a_span_longer_than_any_calendar_can_still_be_added():
    now = datetime(2026, 11, 22, tzinfo=UTC)
    assert now + span(60) == datetime(2026, 11, 22, 0, 1, tzinfo=UTC)
    assert now + span(2**62) > now + timedelta(days=365 * 30) and now - span(1e300) < now
