"""Erasing finds every group, and of a student's messages all and no others."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from persister import erase
from schemas import documents

groups = st.sampled_from(["g", "g.", "g0", "g-1", "G", "g_"])
ups = st.sampled_from(["up201900001", "up201900002", "up201900010"])
ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1, max_size=3)


class Groups:
    """A store of groups, in no order."""

    def __init__(self, stored: set[str]) -> None:
        self._stored = stored

    async def find(
        self, collection: str, query: dict[str, Any], *, sort: list[tuple[str, int]], limit: int
    ) -> list[dict[str, Any]]:
        assert (collection, sort) == (documents.GROUPS, [("_id", 1)])
        after = query["_id"]["$gt"]
        return [{"_id": group} for group in sorted(self._stored) if group > after][:limit]


@given(st.sets(st.text("abc", min_size=1, max_size=3)), st.sets(groups), st.integers(1, 4))
async def test_every_group_is_looked_at_once_the_student_s_own_first(
    stored: set[str], own: set[str], at_once: int
) -> None:
    store: Any = Groups(stored | own)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(erase, "AT_ONCE", at_once)
        found = [group async for group in erase._all_groups(store, own)]
    assert sorted(found) == sorted(stored | own)
    assert set(found[: len(own)]) == own


@given(groups, ups, groups, ups, ids)
def test_a_message_is_in_the_range_of_its_sender_in_its_group_alone(
    group: str, up: str, of_group: str, of_up: str, message_id: str
) -> None:
    bounds = erase._keys_of(group, up)
    key = documents.message_key(of_group, of_up, message_id)
    assert (bounds["$gt"] < key < bounds["$lt"]) == ((group, up) == (of_group, of_up))


@pytest.mark.parametrize(
    "what", ["before {day}", "before yesterday", "student maria", "message g one", f"message g {2**63}"]
)
def test_what_cannot_be_meant_erases_nothing(
    what: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    day_to_come = datetime.now(UTC).date() + timedelta(days=2)
    monkeypatch.setattr("sys.argv", ["erase", *what.format(day=day_to_come).split()])
    with pytest.raises(SystemExit, match="2"):
        erase._arguments()
    assert "error: argument" in capsys.readouterr().err


def test_a_day_that_has_begun_can_be_the_first_that_is_kept() -> None:
    today = datetime.now(UTC).date()
    assert erase._past_day(str(today)) == today
