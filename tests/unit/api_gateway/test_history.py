"""The laws of pages: together they are the log, each of them in its order."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from contextlib import AsyncExitStack
from operator import itemgetter
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api_gateway.history import (
    GROUPS_PER_QUERY,
    MAX_BUNDLE_BYTES,
    MAX_BUNDLED_MESSAGES,
    MAX_MESSAGES_PER_BUNDLE,
    History,
    bundle_pipeline,
    messages_of,
)
from api_gateway.settings import GatewaySettings
from runtime import metrics
from schemas.api import MAX_PER_BUNDLE, BundlePage, HistoryBundle, HistoryPage, Page
from schemas.api import History as HistoryModel
from schemas.client_events import ChatMessage
from schemas.documents import MESSAGES, message_document, message_key
from schemas.log_records import MAX_TEXT_BYTES, MessageSent
from schemas.refusals import NOT_FOUND, OVERLOADED, TOO_LARGE
from tests.counting import counting
from tests.unit.refusing import refuses
from tests.waiting import passes

Document = dict[str, Any]

UP = "up200000001"
SETTINGS = GatewaySettings(token_secret=SecretStr("x" * 32), max_pending_reads=3)

logs = st.sets(st.integers(0, 500), max_size=60).map(sorted)
sizes = st.integers(1, 20)


def document(seq: int, group: str = "maths") -> Document:
    sent = MessageSent(id=f"m{seq}", group=group, up="up201906045", message=f"text {seq}", sent_at=seq)
    return dict(message_document(sent, seq=seq, timestamp=1_000 + seq))


async def run(log: Collection[int], page: HistoryPage) -> list[int]:
    """Return the seqs of a page, in the order of the answer."""
    shown, _ = history([document(seq) for seq in log] + [document(seq, "art") for seq in log])
    return [one["seq"] for one in (await shown.page("maths", page))["messages"]]


@given(logs, sizes)
async def test_the_pages_of_a_group_are_its_log_newest_page_first_each_in_log_order(
    log: list[int], size: int
) -> None:
    pages = [await run(log, HistoryPage(page=n, perPage=size)) for n in range(len(log) // size + 2)]
    assert pages[0] == log[-size:]
    assert [seq for page in reversed(pages) for seq in page] == log


@given(logs, sizes)
async def test_going_back_by_before_gives_the_whole_log(log: list[int], size: int) -> None:
    read: list[int] = []
    page = await run(log, HistoryPage(perPage=size))
    while page:
        read = page + read
        page = await run(log, HistoryPage(perPage=size, before=page[0]))
    assert read == log


@given(logs, sizes, st.integers(-1, 500))
async def test_going_on_by_after_gives_everything_later(log: list[int], size: int, start: int) -> None:
    read: list[int] = []
    page = await run(log, HistoryPage(perPage=size, after=start))
    while page:
        read += page
        page = await run(log, HistoryPage(perPage=size, after=page[-1]))
    assert read == [seq for seq in log if seq > start]


@given(logs, sizes, st.integers(0, 500), st.integers(-1, 500))
async def test_before_and_after_together_bound_the_pages(
    log: list[int], size: int, before: int, after: int
) -> None:
    inside = [seq for seq in log if after < seq < before]
    assert await run(log, HistoryPage(perPage=size, before=before, after=after)) == inside[-size:]


def test_a_message_in_history_has_the_shape_that_live_ones_have() -> None:
    (shown,) = messages_of([document(7)])
    assert shown == ChatMessage.model_validate(shown).model_dump(by_alias=True)
    assert (shown["room"], shown["seq"], shown["timestamp"], shown["sentAt"]) == ("maths", 7, 1007, 7)


@given(
    st.sets(st.sampled_from(["$a", "maths", "art", "$$ROOT", "bio"])), st.integers(0, 3), st.integers(1, 50)
)
def test_a_bundle_is_one_aggregation_that_takes_groups_as_words_not_as_expressions(
    groups: set[str], page: int, size: int
) -> None:
    pipeline = bundle_pipeline(groups, Page(page=page, perPage=size))
    assert pipeline[1]["$project"]["group"] == {"$literal": sorted(groups)}
    inner = pipeline[-1]["$lookup"]["pipeline"]
    assert inner[0] == {"$sort": {"seq": -1}}
    assert inner[-1] == {"$limit": size}
    assert sum(stage.get("$skip", 0) for stage in inner) == page * size


def meets(value: Any, wanted: Any) -> bool:
    """Say whether a store finds the value: it is the one wanted, or within the bounds, if there are any."""
    if not isinstance(wanted, dict) or not wanted:
        return bool(value == wanted)
    return bool(wanted.get("$gt", -1) < value < wanted.get("$lt", 10**9))


class FakeReads:
    """Finds in what it is given, and notes the order of the questions."""

    def __init__(self, found: list[Document]) -> None:
        self.found = found
        self.asked: list[str] = []

    async def find(
        self,
        collection: str,
        query: Document,
        *,
        sort: Sequence[tuple[str, int]] = (),
        skip: int = 0,
        limit: int,
    ) -> list[Document]:
        self.asked.append(collection)
        found = [one for one in self.found if all(meets(one[name], query[name]) for name in query)]
        for name, direction in reversed(sort):
            found.sort(key=itemgetter(name), reverse=direction < 0)
        return found[skip : skip + limit]

    async def aggregate(self, collection: str, _pipeline: list[Document]) -> list[Document]:
        self.asked.append(collection)
        return self.found


class FakeProgress:
    """Everything is stored up to 41."""

    def __init__(self, reads: FakeReads) -> None:
        self._reads = reads

    async def up_to(self, _topic: str, partitions: Collection[int]) -> Mapping[int, int]:
        self._reads.asked.append("up to")
        return dict.fromkeys(partitions, 41)


def history(found: list[Document], settings: GatewaySettings = SETTINGS) -> tuple[History, FakeReads]:
    reads = FakeReads(found)
    return History(reads, FakeProgress(reads), settings), reads  # type: ignore[arg-type]


async def test_how_far_is_stored_is_read_before_the_messages_so_that_no_promise_is_broken() -> None:
    shown, reads = history([document(3), document(2)])
    page = HistoryModel.model_validate(await shown.page("maths", HistoryPage()))
    assert reads.asked == ["up to", MESSAGES]
    assert [one.seq for one in page.messages] == [2, 3]
    assert page.storedUpTo == 41


def everything(_group: str) -> bool:
    """Let all groups be read."""
    return True


async def bundle_of(shown: History, groups: Collection[str]) -> list[HistoryModel]:
    """Return what the client reads of a bundle."""
    answer = orjson.dumps(await shown.bundle(UP, groups, BundlePage(), everything))
    return HistoryBundle.model_validate_json(answer).groups


async def test_a_bundle_shows_every_group_also_those_without_messages() -> None:
    shown, reads = history([{"group": "maths", "messages": [document(3), document(2)]}])
    bundle = await bundle_of(shown, ["maths", "art"])
    assert [(one.group, [m.seq for m in one.messages], one.storedUpTo) for one in bundle] == [
        ("art", [], 41),
        ("maths", [2, 3], 41),
    ]
    assert len(reads.asked) == 2


async def test_many_groups_are_read_some_at_a_time_and_each_is_shown() -> None:
    shown, reads = history([{"group": "group 7", "messages": [document(1)]}])
    groups = [f"group-{n}" for n in range(2 * GROUPS_PER_QUERY + 1)]
    assert [one.group for one in await bundle_of(shown, groups)] == sorted(groups)
    assert reads.asked == ["up to", MESSAGES, MESSAGES, MESSAGES]


async def bundle_of_longest(character: str, groups: int) -> bytes:
    """Return a bundle of full pages of the longest texts, as its client reads it."""
    text = character * (MAX_TEXT_BYTES // len(character.encode()))
    page = [{**document(n), "message": text} for n in range(MAX_PER_BUNDLE)]
    names = [f"group-{n}" for n in range(groups)]
    shown, _ = history([{"group": group, "messages": page} for group in names])
    return orjson.dumps(await shown.bundle(UP, names, BundlePage(), everything))


@pytest.mark.parametrize(("character", "fit"), [("x", 20), ("\x01", 3), ("🎓", 20)])
async def test_no_bundle_is_larger_than_a_gateway_may_hold_whatever_its_texts_are(
    character: str, fit: int
) -> None:
    """A control character is one of text, and six of the answer."""
    assert len(await bundle_of_longest(character, fit)) <= MAX_BUNDLE_BYTES
    with refuses(TOO_LARGE):
        await bundle_of_longest(character, fit + 1)


async def test_no_more_is_read_of_a_bundle_that_is_too_large_already() -> None:
    long = {**document(1), "message": "x" * (MAX_BUNDLE_BYTES // 2)}
    shown, reads = history([{"group": "group-0", "messages": [long, long]}])
    with refuses(TOO_LARGE):
        await shown.bundle(UP, [f"group-{n}" for n in range(5 * GROUPS_PER_QUERY)], BundlePage(), everything)
    assert reads.asked == ["up to", MESSAGES]


@pytest.mark.parametrize("waits_for", ["the store", "a turn"])
async def test_a_bundle_that_takes_too_long_is_refused_and_leaves_its_turn_whatever_it_waits_for(
    waits_for: str,
) -> None:
    shown, reads = history([document(1)], SETTINGS.model_copy(update={"bundle_within_s": 0.05}))
    hits = counting(metrics.LIMIT_HITS.labels(limit="slow bundles"))
    never = asyncio.Event()

    async def aggregate(*_: Any) -> Any:
        await never.wait()

    reads.aggregate = aggregate  # type: ignore[assignment,method-assign]
    async with AsyncExitStack() as held:
        if waits_for == "a turn":
            await held.enter_async_context(shown._turns.take("somebody", MAX_BUNDLED_MESSAGES))
        with refuses(OVERLOADED):
            await shown.bundle(UP, ["maths"], BundlePage(), everything)
    assert hits() == 1
    async with shown._turns.take(UP, MAX_BUNDLED_MESSAGES):
        pass


@pytest.mark.parametrize(("groups", "messages"), [(7, 350), (100, MAX_MESSAGES_PER_BUNDLE)])
async def test_few_bundles_are_put_together_at_the_same_time_and_pages_need_not_wait_for_them(
    groups: int, messages: int
) -> None:
    shown, reads = history([document(1)])
    goes_on = asyncio.Event()

    async def aggregate(*_: Any) -> list[Document]:
        reads.asked.append("bundle")
        await goes_on.wait()
        return []

    reads.aggregate = aggregate  # type: ignore[assignment,method-assign]
    at_once, ids = MAX_BUNDLED_MESSAGES // messages, [f"group-{n}" for n in range(groups)]
    page = BundlePage(perPage=MAX_PER_BUNDLE)
    bundles = [asyncio.create_task(shown.bundle(str(n), ids, page, everything)) for n in range(at_once + 2)]
    await passes()
    assert await shown.page("maths", HistoryPage())
    assert reads.asked.count("bundle") == at_once
    goes_on.set()
    assert len(await asyncio.gather(*bundles)) == at_once + 2


@given(logs, sizes)
async def test_the_newest_of_all_groups_are_everything_newest_page_first(log: list[int], size: int) -> None:
    shown, _ = history([document(seq, "maths" if seq % 2 else "art") for seq in reversed(log)])
    pages = [
        [one["seq"] for one in (await shown.newest(Page(page=n, perPage=size)))["messages"]]
        for n in range(len(log) // size + 2)
    ]
    assert pages[0] == log[-size:]
    assert [seq for page in reversed(pages) for seq in page] == log


@given(st.permutations(range(8)), st.integers(1, 8))
async def test_the_newest_messages_stand_in_the_log_s_order_also_where_the_broker_gave_them_one_time(
    ids: list[int], per_time: int
) -> None:
    log = [{**document(seq), "_id": str(ids[seq]), "timestamp": seq // per_time} for seq in range(8)]
    shown, _ = history(log)
    assert [one["seq"] for one in (await shown.newest(Page()))["messages"]] == list(range(8))


async def test_a_message_is_found_by_its_id_and_by_whose_it_is_in_which_group() -> None:
    """Several may have chosen one id: the earliest has it."""
    shown, _ = history([document(1), document(2), {**document(3), "id": "m2"}, document(2, "art")][::-1])
    assert (await shown.by_id("m2"))["seq"] == 2
    for group in ("maths", "art"):
        found = await shown.by_key(message_key(group, "up201906045", "m2"))
        assert found is not None
        assert (found["room"], found["id"]) == (group, "m2")
    assert await shown.by_key(message_key("maths", "up201906045", "m4")) is None
    with refuses(NOT_FOUND):
        await shown.by_id("m4")
