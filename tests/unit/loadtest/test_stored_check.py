"""History is compared once it has caught up: who is late is waited for, as long as anybody comes further."""

from collections.abc import Callable
from typing import Any

import pytest

from loadtest import stored_check
from loadtest.crowd import Group
from loadtest.stored_check import PATIENCE_S, Stored, StoredCheck, UnreadError
from schemas.api import History
from schemas.client_events import ChatMessage

UP = "up201906045"
GROUPS = [Group("art", (UP,)), Group("silent", (UP,)), Group("maths", (UP,))]
WANTED = {"art": {0, 1, 2, 3}, "silent": set[int](), "maths": {4, 5, 6, 7}}
AT_START_S = 2 * PATIENCE_S
"""A check begins when its run ends."""


class Store:
    """Stores the seqs of each group as far as ``up_to`` says at each look; those that are lost never."""

    def __init__(self, up_to: Callable[[str, int], int], lost: set[int]) -> None:
        self._up_to = up_to
        self._lost = lost
        self.looks = 0
        self.read: list[str] = []

    @property
    def clock(self) -> float:
        return AT_START_S + self.looks + len(self.read)

    async def page(self, group: str, _token: str, *, after: int, per_page: int) -> History:
        assert per_page == 1
        self.looks += 1
        if self.looks % 3 == 0:
            raise OSError("away")
        return History(group=group, messages=[], storedUpTo=self._up_to(group, self.looks))

    async def history(self, group: str, _token: str, *, after: int) -> list[ChatMessage]:
        self.read.append(group)
        if len(self.read) == 1:
            raise OSError("away")
        up_to = self._up_to(group, self.looks)
        seqs = [seq for seq in WANTED[group] if after < seq <= up_to and seq not in self._lost]
        return [
            ChatMessage(id=f"m{seq}", seq=seq, room=group, up=UP, message="", timestamp=2, sent_at=1)
            for seq in seqs
        ]


def is_as_sent(message: ChatMessage) -> bool:
    return (message.id, message.message) == (f"m{message.seq}", "")


async def found(store: Store, monkeypatch: pytest.MonkeyPatch) -> Stored:
    """Check with a clock by which every request takes a second."""
    monkeypatch.setattr(stored_check, "POLL_EVERY_S", 0.0)
    api: Any = store
    return await StoredCheck(api, lambda _: "a token", lambda: store.clock, is_as_sent).compare(
        GROUPS, WANTED
    )


async def lacking(store: Store, monkeypatch: pytest.MonkeyPatch) -> int:
    stored = await found(store, monkeypatch)
    assert stored.wrong == 0
    return stored.lacking


async def test_a_group_that_stands_still_is_waited_for_while_another_comes_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def one_after_the_other(group: str, look: int) -> int:
        return min(3, look // 60) if group == "art" else (7 if look > 220 else -1)

    store = Store(one_after_the_other, lost=set())
    assert await lacking(store, monkeypatch) == 0
    assert 220 < store.looks <= 225
    assert store.read == ["art", "art", "maths"]


async def test_what_is_not_there_in_the_end_is_lacking(monkeypatch: pytest.MonkeyPatch) -> None:
    assert await lacking(Store(lambda _, __: 7, lost={2, 4, 5}), monkeypatch) == 3


async def test_a_store_that_comes_no_further_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert await lacking(Store(lambda group, _: 1 if group == "art" else 7, lost=set()), monkeypatch) == 2


class Lying(Store):
    """Has everything, and tells it as ``told`` says."""

    def __init__(self, told: Callable[[list[ChatMessage]], list[ChatMessage]]) -> None:
        super().__init__(lambda _, __: 7, lost=set())
        self._told = told

    async def history(self, group: str, token: str, *, after: int) -> list[ChatMessage]:
        return self._told(await super().history(group, token, after=after))


def each(**changed: Any) -> Callable[[list[ChatMessage]], list[ChatMessage]]:
    return lambda messages: [one.model_copy(update=changed) for one in messages]


@pytest.mark.parametrize(
    ("told", "wrong"),
    [
        (each(), 0),
        (each(message="forged"), 8),
        (each(id="another"), 8),
        (each(room="another"), 8),
        (lambda messages: messages + messages, 8),
        (lambda messages: [one for one in messages for _ in range(2)], 8),
        (lambda messages: messages[::-1], 6),
        (lambda messages: [messages[1], messages[0], *messages[2:]], 2),
    ],
)
async def test_what_history_tells_otherwise_than_it_was_said_is_wrong_and_not_lacking(
    told: Callable[[list[ChatMessage]], list[ChatMessage]], wrong: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await found(Lying(told), monkeypatch) == Stored(lacking=0, wrong=wrong)


class Away(Store):
    """Cannot be read: no messages, nor the progress of groups whose names begin with ``only``."""

    def __init__(self, only: str = "") -> None:
        super().__init__(lambda _, __: 7, lost=set())
        self._only = only

    async def page(self, group: str, _token: str, *, after: int, per_page: int) -> History:
        if group.startswith(self._only):
            self.looks += 1
            raise ConnectionError("GET /chat/x/message: 503")
        return await super().page(group, _token, after=after, per_page=per_page)

    async def history(self, group: str, _token: str, *, after: int) -> list[ChatMessage]:
        self.read.append(group)
        raise TimeoutError


@pytest.mark.parametrize(
    ("only", "why"), [("", "503"), ("maths", "503"), ("only messages", "no answer in time")]
)
async def test_what_cannot_be_read_is_given_up_after_one_patience_for_all_groups_and_is_not_called_lacking(
    only: str, why: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store = Away(only)
    with pytest.raises(UnreadError, match=why):
        await lacking(store, monkeypatch)
    assert store.clock <= AT_START_S + PATIENCE_S + len(GROUPS)
    assert caplog.text.count(why) == 1
