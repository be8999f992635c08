"""What operators are shown, and that nobody else is."""

import json

import pytest

from dispatcher.routes import check_token, show_term
from dispatcher.term import Term
from schemas.refusals import INVALID_TOKEN, MISSING_TOKEN, Refusal, Refused
from tests.unit.dispatcher.reports import report

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


def test_a_term_is_shown_whole() -> None:
    term = Term(None, dead_after_s=3.0)
    term.take(report("a", connected=7), 0.0)
    term.take(report("b"), 2.0)
    shown = json.loads(json.dumps(show_term(term, 5.0)))
    assert [(shard["shard"], shard["edge"]) for shard in shown["shards"]] == [("[0-4]", "a"), ("[5-9]", "b")]
    assert shown["edges"][0] == {
        "edge": "a",
        "url": "http://a",
        "state": "serving",
        "connected": 7,
        "capacity": 100,
        "report_age_s": 5.0,
    }
    assert shown["moves"][0] == {
        "shard": "[5-9]",
        "from": "a",
        "to": "b",
        "reason": "joined",
        "age_s": 3.0,
    }
