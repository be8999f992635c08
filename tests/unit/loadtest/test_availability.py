"""Uptime, MTBF and MTRS are what the textbook says of the outages that were seen."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.availability import Availability


def seen(looks: str, every_s: float = 10.0) -> Availability:
    """Return what is seen by looks 10 s apart: '+' good, '-' bad."""
    availability = Availability()
    for number, look in enumerate(looks):
        availability.record(number * every_s, look == "+")
    return availability


def test_without_failure_it_was_always_up_and_there_is_no_mean_between_failures() -> None:
    one = seen("+++++")
    assert (one.uptime, one.outages, one.mtbf_s, one.mtrs_s) == (1.0, 0, None, None)


def test_outages_last_from_the_first_bad_look_to_the_next_good_one() -> None:
    one = seen("++--++-+++")
    assert one.outages == 2
    assert one.down_s == 20 + 10
    assert one.up_s == 20 + 20 + 20
    assert one.mtbf_s == 30
    assert one.mtrs_s == 15
    assert one.uptime == pytest.approx(60 / 90)


def test_an_outage_that_goes_on_counts_as_down_and_not_yet_as_restored() -> None:
    one = seen("++---")
    assert (one.down_s, one.up_s, one.mtbf_s, one.mtrs_s) == (20, 20, 20, None)


@pytest.mark.parametrize(("looks", "uptime"), [("", 0.0), ("+", 1.0), ("-", 0.0), ("--", 0.0)])
def test_little_or_nothing_seen_is_told_as_it_is(looks: str, uptime: float) -> None:
    assert seen(looks).uptime == uptime


@given(st.text("+-", min_size=2, max_size=60))
def test_all_time_is_up_or_down(looks: str) -> None:
    one = seen(looks)
    assert one.up_s + one.down_s == pytest.approx(10 * (len(looks) - 1))
    assert 0 <= one.uptime <= 1
    assert one.good == looks.count("+")
    assert one.outages == ("+" + looks).count("+-")
