"""The answer to a refused request says in its head what its body says: its name, and when to come back."""

import logging

import pytest

from runtime import metrics, refusing
from runtime.budgets import Budget
from schemas.refusals import BAD_JSON, TABLE, ErrorAnswer, Refusal, Refused
from tests.counting import counting


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


def test_strangers_do_not_fill_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    monkeypatch.setattr(refusing, "_lines", Budget(0.001, 5))
    refused = counting(metrics.REFUSALS.labels(code=BAD_JSON.code))
    for _ in range(20):
        refusing.answer(Refused(BAD_JSON))
    assert [record.getMessage() for record in caplog.records] == 5 * ["refused"]
    assert refused() == 20


@pytest.mark.parametrize("row", TABLE.values(), ids=lambda row: row.code)
def test_refusals_that_come_in_floods_are_logged_for_debugging_only(
    row: Refusal, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """And they leave the lines of that second to those that somebody may look for."""
    caplog.set_level(logging.DEBUG)
    lines = Budget(0.001, 5)
    monkeypatch.setattr(refusing, "_lines", lines)
    refusing.answer(Refused(row))
    (line,) = caplog.records
    assert (line.levelno, lines.left(0.0)) == ((logging.DEBUG, 5) if row.floods else (logging.INFO, 4))
