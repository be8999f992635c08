"""UP numbers: their normal form, and the point of the circle that each maps to.

A number is read from its last digit backwards, so that neighbours in the circle share last digits:
``up201906045`` is 5, 4, 0, 6, ... and maps to 0.540609102. A shard is an interval of that circle.
"""

from typing import Annotated

from pydantic import StringConstraints

DIGITS = 9
CIRCLE: int = 10**DIGITS
"""Points are integers in [0, CIRCLE): the fraction, scaled so that no rounding is ever needed."""

UP_PATTERN = r"^[uU][pP][0-9]{9}$"
"""The accepted input: the pattern is applied before the text is made lower case."""

UpNumber = Annotated[str, StringConstraints(pattern=UP_PATTERN, to_lower=True, strip_whitespace=True)]
"""A student's number in its normal form: ``up`` and nine digits, lower case."""


def point_of(up: str) -> int:
    """Return the point in [0, CIRCLE) of a well-formed UP number: its digits, last one first."""
    return int(up[:1:-1])


def up_at(point: int) -> str:
    """Return the UP number of a point: the inverse of `point_of`."""
    return "up" + f"{point:0{DIGITS}d}"[::-1]
