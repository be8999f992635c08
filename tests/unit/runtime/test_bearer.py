"""There is one token, and nothing else is it."""

import pytest

from runtime.bearer import check_bearer
from schemas.refusals import Refused

TOKEN = "only-for-tests-0123456789"


@pytest.mark.parametrize(
    ("header", "code"),
    [
        (None, "missing_token"),
        ("", "missing_token"),
        (f"Basic {TOKEN}", "missing_token"),
        ("Bearer ", "missing_token"),
        ("Bearer   ", "missing_token"),
        ("Bearer wrong", "invalid_token"),
        (f"Bearer {TOKEN}x", "invalid_token"),
        (f"Bearer {TOKEN[:-1]}", "invalid_token"),
        ("Bearer ü", "invalid_token"),
        ("Bearer \udcff", "invalid_token"),
    ],
)
def test_another_header_than_the_one_token_is_refused_by_name(header: str | None, code: str) -> None:
    with pytest.raises(Refused) as caught:
        check_bearer(header, TOKEN)
    assert caught.value.refusal.code == code


@pytest.mark.parametrize("header", [f"bearer {TOKEN}", f"Bearer  {TOKEN} "])
def test_the_one_token_opens(header: str) -> None:
    check_bearer(header, TOKEN)
