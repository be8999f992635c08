"""The answer to a refused request says in its head what its body says: its name, and when to come back."""

import pytest

from runtime import refusing
from schemas.refusals import TABLE, ErrorAnswer, Refusal, Refused


@pytest.mark.parametrize("own_wait_s", [None, 250])
@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.code)
def test_the_head_of_an_answer_says_what_its_body_says(row: Refusal, own_wait_s: int | None) -> None:
    answer = refusing.response(Refused(row, retry_after_s=own_wait_s))
    assert isinstance(answer.body, bytes)
    error = ErrorAnswer.model_validate_json(answer.body, extra="forbid").error
    wait_s = own_wait_s or row.retry_after_s
    assert (answer.status, error.code, error.retry_after) == (row.status, row.code, wait_s)
    assert answer.headers["X-Request-Id"] == error.request_id
    assert answer.headers.get("Retry-After") == (None if wait_s is None else str(wait_s))
    assert answer.content_type == "application/json"
