"""Nobody is shown anything without the operators' token."""

import pytest

from dispatcher.routes import check_token
from schemas.refusals import INVALID_TOKEN, MISSING_TOKEN, Refusal, Refused

TOKEN = "only-for-tests-0123456789"


@pytest.mark.parametrize(
    ("header", "refusal"),
    [
        (None, MISSING_TOKEN),
        ("", MISSING_TOKEN),
        (f"Basic {TOKEN}", MISSING_TOKEN),
        ("Bearer ", MISSING_TOKEN),
        ("Bearer wrong", INVALID_TOKEN),
        (f"Bearer {TOKEN}x", INVALID_TOKEN),
        ("Bearer ü", INVALID_TOKEN),
    ],
)
def test_without_the_token_nothing_is_shown(header: str | None, refusal: Refusal) -> None:
    with pytest.raises(Refused) as refused:
        check_token(header, TOKEN)
    assert refused.value.refusal is refusal


def test_the_token_opens() -> None:
    check_token(f"bearer {TOKEN}", TOKEN)
