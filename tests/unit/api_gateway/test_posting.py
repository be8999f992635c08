"""A posted message is one message, however often and through whatever outage it is posted."""

import logging
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.posting import Posting
from schemas.api import PostMessage
from schemas.documents import message_key
from schemas.log_records import MAX_TEXT_BYTES, MessageSent
from schemas.refusals import HISTORY_UNAVAILABLE, NOT_A_MEMBER, OVERLOADED, TOO_LARGE, Refusal, Refused
from tests.unit.api_gateway.parts import Document, GroupParts
from tests.unit.refusing import refuses

UP = "up201906045"


class World:
    """A log, and a store that keeps the first record of each key when it is told to catch up."""

    def __init__(self) -> None:
        self.parts = GroupParts()
        self.parts.memberships.set_member("maths", UP, member=True)
        self.parts.progress.on_wait = self.catch_up
        self.documents: dict[str, Document] = {}
        self.error: Refused | None = None
        self.posting = Posting(self.parts.members, self.parts.writer, self.parts.progress, self)  # type: ignore[arg-type]

    def catch_up(self) -> None:
        if not self.parts.progress.stored:
            return
        for seq, (_, one) in enumerate(self.parts.writer.records):
            sent = MessageSent.read(one.headers, one.value)
            shown = {
                "id": sent.id,
                "seq": seq,
                "room": sent.group,
                "up": sent.up,
                "message": sent.message,
                "timestamp": 1_000 + seq,
                "sentAt": sent.sent_at,
            }
            self.documents.setdefault(message_key(sent.group, sent.up, sent.id), shown)

    async def by_key(self, key: str) -> Document | None:
        if self.error is not None:
            raise self.error
        return self.documents.get(key)


def new(text: str = "text", **more: Any) -> PostMessage:
    return PostMessage.model_validate({"group": "maths", "from": UP, "message": text, **more})


@given(st.lists(st.tuples(st.sampled_from(["a", "b"]), st.booleans()), max_size=12))
async def test_every_stored_answer_for_an_id_names_the_first_message_of_that_id(
    posts: list[tuple[str, bool]],
) -> None:
    world, first = World(), dict[str, int]()
    for message_id, stored in posts:
        world.parts.progress.stored = stored
        before = len(world.parts.writer.records)
        was_stored = message_key("maths", UP, message_id) in world.documents
        answer, status = await world.posting.post(new(id=message_id))
        assert len(world.parts.writer.records) == before + (not was_stored), "it is not in the log again"
        if not was_stored:
            first.setdefault(message_id, before)
        assert answer.stored is (stored or was_stored)
        if answer.stored:
            assert answer.seq == first[message_id]
        assert status == (202 if not answer.stored else 201 if answer.seq == before else 200)


async def test_a_message_without_an_id_gets_one_of_its_own_by_which_the_log_names_it_when_asked_for(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    world = World()
    ids = [(await world.posting.post(new()))[0].id for _ in range(5)]
    assert len(set(ids)) == 5
    named = [{"message": message_key("maths", UP, one), "seq": seq} for seq, one in enumerate(ids)]
    assert [vars(record)["facts"] for record in caplog.records] == named


@pytest.mark.parametrize("stored", [False, True], ids=["away", "gone once it is asked"])
async def test_while_the_store_is_away_a_message_is_accepted_and_not_called_stored(stored: bool) -> None:
    world = World()
    world.error, world.parts.progress.stored = Refused(HISTORY_UNAVAILABLE), stored
    answer, status = await world.posting.post(new(id="a"))
    assert (answer.stored, answer.seq, status) == (False, 0, 202)


async def test_overload_of_reads_refuses_a_retry_before_it_is_written_again() -> None:
    world = World()
    world.error = Refused(OVERLOADED)
    with pytest.raises(Refused):
        await world.posting.post(new(id="a"))
    assert world.parts.writer.records == []


async def test_overload_of_reads_refuses_no_message_that_stands_in_the_log_already() -> None:
    """Whoever is refused without an id of their own posts it again: as a second message."""
    world = World()
    world.error = Refused(OVERLOADED)
    answer, status = await world.posting.post(new())
    assert (answer.stored, answer.seq, status) == (False, 0, 202)
    assert len(world.parts.writer.records) == 1


@pytest.mark.parametrize(
    ("message", "refusal"),
    [
        (new(**{"from": "up201906046"}), NOT_A_MEMBER),
        (new(group="art"), NOT_A_MEMBER),
        (new("x" * (MAX_TEXT_BYTES + 1)), TOO_LARGE),
        (new("ç" * (MAX_TEXT_BYTES // 2) + "x"), TOO_LARGE),
    ],
)
async def test_what_may_not_be_posted_never_reaches_the_log(message: PostMessage, refusal: Refusal) -> None:
    world = World()
    with refuses(refusal):
        await world.posting.post(message)
    assert world.parts.writer.records == []
