"""Laws of UP numbers and their points."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.up_number import CIRCLE, UpNumber, point_of, up_at

NUMBERS = st.from_regex(r"up[0-9]{9}", fullmatch=True)
UP = TypeAdapter[str](UpNumber)


def test_the_documented_number_stands_where_it_is_said_to() -> None:
    assert point_of("up201906045") == 540_609_102


@given(NUMBERS)
def test_each_number_has_a_point_of_its_own(up: str) -> None:
    assert 0 <= point_of(up) < CIRCLE
    assert up_at(point_of(up)) == up


@given(st.integers(0, CIRCLE - 1))
def test_each_point_is_a_number(point: int) -> None:
    assert point_of(UP.validate_python(up_at(point))) == point


@given(NUMBERS, NUMBERS, st.integers(1, 9))
def test_numbers_that_share_last_digits_share_the_first_digits_of_their_points(
    left: str, right: str, digits: int
) -> None:
    same = point_of(left) // 10 ** (9 - digits) == point_of(right) // 10 ** (9 - digits)
    assert same == (left[-digits:] == right[-digits:])


@given(NUMBERS)
def test_case_and_blanks_around_a_number_do_not_matter(up: str) -> None:
    assert UP.validate_python(f" {up.upper()} ") == up


@pytest.mark.parametrize(
    "text",
    [
        "",
        "up",
        "201906045",
        "up20190604",
        "up2019060455",
        "up20190604x",
        "up20190604\u0665",
        "up201906045\n1",
    ],
)
def test_anything_else_is_no_number(text: str) -> None:
    with pytest.raises(ValidationError):
        UP.validate_python(text)
