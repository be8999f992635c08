"""A run of students comes to its verdict whatever the deployment does."""

import asyncio
import time
from collections.abc import Callable
from typing import Any, cast

import pytest

from loadtest import crowd_run, stored_check
from loadtest.crowd_run import CrowdRun
from loadtest.news import Job, News, Second, Verdict
from loadtest.rest import RestApi
from loadtest.results import FAULTS
from loadtest.scenario import Phase, Scenario
from loadtest.tokens import TokenSource
from schemas.client_events import CHAT_MESSAGE
from tests.unit.loadtest.plain_edge import PlainEdge, running_edge

DEADLINE_S = 60.0
SECRET = "a secret of a test, longer than 32 bytes"

SHORT = Scenario(
    name="short", about="", students=1, check_history=0, settle_s=1,
    phases=(Phase(name="come online", seconds=0.1), Phase(name="talk", seconds=0.5, burst=1)),
)  # fmt: skip
"""One student, who says one thing."""
ALONE = {"load-run-0-0": {"head": 0, "missed": 0, "recovered": True}}
"""What an edge says of the room of that student."""


class Gateway:
    """What a process of students asks of the public API; ``url`` is that of an edge."""

    def __init__(self, url: str = "") -> None:
        self.url = url

    async def create_group(self, *_: object) -> None: ...

    async def locate(self, _token: str) -> str:
        if not self.url:
            raise ConnectionError("no way to the edge")
        return self.url


async def prepared(
    scenario: Scenario, api: Gateway, say: Callable[[News], None] = lambda _: None
) -> CrowdRun:
    job = Job(scenario=scenario, gateway="", run="run", number=0, of=1)
    run = CrowdRun(job, TokenSource(SECRET, {}), cast("RestApi", api), say)
    await run.prepare()
    return run


async def verdict_of(run: CrowdRun) -> Verdict:
    async with asyncio.timeout(DEADLINE_S):
        return await run.play(time.time())


async def test_students_who_cannot_connect_are_a_fault_and_do_not_keep_the_run_from_ending(
    caplog: pytest.LogCaptureFixture,
) -> None:
    quiet = Scenario(
        name="quiet", about="", students=100, settle_s=0.2, phases=(Phase(name="come online", seconds=0.1),)
    )
    assert (await verdict_of(await prepared(quiet, Gateway()))).absent == 100
    assert "no way to the edge" in caplog.text


async def test_students_who_cannot_come_back_are_told_of_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_edge() as edge:
        edge.joined = ALONE
        api = Gateway(edge.url)
        run = await prepared(SHORT, api)

        def answer(_: dict[str, Any]) -> dict[str, Any]:
            api.url = ""
            run._live.clients[run._crowd.students[0]].drop_connection()
            return {"id": "m", "seq": 1, "timestamp": 2}

        edge.answer = answer
        verdict = await verdict_of(run)
    assert (verdict.absent, verdict.not_acked) == (0, 1)
    assert "1 students were offline in the end: no way to the edge" in caplog.text


async def test_messages_that_are_refused_are_told_of_with_the_reason(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with running_edge() as edge:
        edge.answer = lambda _: {"error": {"code": "not_a_member", "message": ""}}
        edge.joined = ALONE
        verdict = await verdict_of(await prepared(SHORT, Gateway(edge.url)))
    assert verdict.refused == 1
    assert "1 messages were refused: not_a_member" in caplog.text


def echoing(edge: PlainEdge) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an answer that lets whoever says something have it back, as all members do."""
    echoes: list[asyncio.Future[None]] = []

    def answer(said: dict[str, Any]) -> dict[str, Any]:
        stored = {"id": said["id"], "seq": len(edge.got), "timestamp": 2}
        message = {**said, **stored, "sentAt": said["timestamp"]}
        echoes.append(asyncio.ensure_future(edge.emit(CHAT_MESSAGE, message)))
        return stored

    return answer


@pytest.mark.parametrize("pauses_from_per_s", [0, crowd_run.PAUSES_FROM_PER_S])
async def test_what_comes_in_the_last_part_of_a_second_is_told_too(
    pauses_from_per_s: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowd_run, "PAUSES_FROM_PER_S", pauses_from_per_s)
    short = Scenario(
        name="short",
        about="",
        students=1,
        check_history=0,
        phases=(Phase(name="come online", seconds=0.1), Phase(name="talk", seconds=1.3, each_s=0.05)),
    )
    before_s, news = time.process_time(), list[News]()
    async with running_edge() as edge:
        edge.joined = {"load-run-0-0": {"head": 0, "missed": 0, "recovered": True}}
        edge.answer = echoing(edge)
        verdict = await verdict_of(await prepared(short, Gateway(edge.url), news.append))
    seconds = [one.second for one in news if one.second is not None]
    told = [(one.planned, one.acked, one.received) for one in seconds]
    assert (verdict.said, verdict.acked, verdict.received) == tuple(map(sum, zip(*told, strict=True)))
    assert verdict.acked == verdict.received > 0
    cpu_s = sum(one.cpu_s for one in seconds)
    assert cpu_s <= time.process_time() - before_s, "what was used before the run is not the first second's"


async def test_a_second_tells_everything_that_there_is_to_tell() -> None:
    quiet = Scenario(name="quiet", about="", phases=(Phase(name="nothing", seconds=0.1),))
    assert (await prepared(quiet, Gateway()))._totals(0).model_fields_set == set(Second.model_fields)


async def test_a_history_that_cannot_be_read_is_waited_for_aloud_and_is_no_history_that_lacks_something(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class WithoutStore(Gateway):
        async def page(self, *_: object, **__: object) -> None:
            raise ConnectionError("503")

        history = page

    monkeypatch.setattr(stored_check, "PATIENCE_S", 2.5)
    short = Scenario(name="short", about="", students=1, phases=(Phase(name="talk", seconds=0.5, burst=1),))
    news: list[News] = []
    async with running_edge() as edge:
        edge.joined = {"load-run-0-0": {"head": 0, "missed": 0, "recovered": True}}
        edge.answer = echoing(edge)
        run = await prepared(short, WithoutStore(edge.url), news.append)
        run._memory.seqs["load-run-0-0"][0] = 0
        verdict = await run.play(time.time())
    assert (verdict.unread, verdict.history_checked, verdict.not_stored) == ("503", 0, 0)
    assert "the store" in {one.second.waits_for for one in news if one.second is not None}


async def test_a_run_that_is_ended_early_judges_what_was_said_and_who_has_come() -> None:
    endless = Scenario(
        name="endless",
        about="",
        students=3,
        check_history=0,
        phases=(
            Phase(name="the first comes", seconds=0.1, online=0.34),
            Phase(name="the others come, and all talk", seconds=7_200, each_s=0.05),
        ),
    )
    async with running_edge() as edge, asyncio.timeout(DEADLINE_S):
        edge.joined = {"load-run-0-0": {"head": 0, "missed": 0, "recovered": True}}
        echo, run = echoing(edge), await prepared(endless, Gateway(edge.url))

        def answer(said: dict[str, Any]) -> dict[str, Any]:
            if len(edge.got) == 5:
                run.end()
            return echo(said)

        edge.answer = answer
        verdict = await run.play(time.time())
    assert verdict.said == verdict.acked == verdict.received >= 5
    assert verdict.connections == 1
    assert {name: getattr(verdict, name) for name in FAULTS} == dict.fromkeys(FAULTS, 0)
