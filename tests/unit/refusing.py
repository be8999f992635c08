"""What is refused, and by which row of the table."""

import pytest

from schemas.refusals import Refusal, Refused


def refuses(refusal: Refusal) -> "pytest.RaisesExc[Refused]":
    """Expect that the block is refused by this row. Yields what was raised, as `pytest.raises` does."""
    return pytest.raises(Refused, check=lambda refused: refused.refusal is refusal)
