"""A look is good when the message to itself was read back; otherwise it names the step that failed."""

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from importlib.util import module_from_spec, spec_from_file_location
from itertools import count
from typing import Any, cast

import pytest

from loadtest import probe as probing
from loadtest.probe import REGISTRY, Probe
from loadtest.rest import RestApi
from schemas.client_events import CHAT_MESSAGE
from tests.unit.loadtest.plain_edge import PlainEdge, running_edge

UP = "up201906045"
ROOM = f"probe-{UP}"
SOON_S = 0.3


class Gateway:
    """What the probe asks of the public API."""

    def __init__(self, edge: PlainEdge) -> None:
        self.url = edge.url
        self.groups: list[tuple[str, list[str]]] = []
        self.tokens: list[str] = []
        self.closed = False

    async def create_group(self, group: str, users: list[str], _token: str, *, tries: int) -> None:
        assert tries == 1, "a look never retries"
        if self.closed:
            raise ConnectionError("no gateway")
        self.groups.append((group, users))

    async def locate(self, token: str) -> str:
        if self.closed:
            raise ConnectionError("no gateway")
        self.tokens.append(token)
        return self.url


@asynccontextmanager
async def probed() -> AsyncIterator[tuple[Probe, PlainEdge, Gateway]]:
    async with running_edge() as edge:
        edge.joined = {ROOM: {"head": 3, "missed": 0, "recovered": True}}
        gateway = Gateway(edge)
        echoes: list[asyncio.Future[None]] = []

        def answer(said: dict[str, Any]) -> dict[str, Any]:
            message = {**said, "seq": 4, "timestamp": 2, "sentAt": said["timestamp"]}
            echoes.append(asyncio.ensure_future(edge.emit(CHAT_MESSAGE, message)))
            return {"id": said["id"], "seq": 4, "timestamp": 2}

        edge.answer = answer
        numbers = count()
        yield Probe(cast("RestApi", gateway), UP, lambda up: f"{up}'s {next(numbers)}"), edge, gateway


def looks(failed: str) -> float:
    return REGISTRY.get_sample_value("chat_probe_looks_total", {"failed": failed}) or 0.0


def test_before_the_first_look_nothing_is_known_and_nothing_has_failed() -> None:
    spec = spec_from_file_location("a_probe_as_it_starts", probing.__file__)
    assert spec is not None
    assert spec.loader is not None
    fresh = module_from_spec(spec)
    spec.loader.exec_module(fresh)
    for name in ("up", "uptime_ratio", "mtbf_seconds", "mtrs_seconds"):
        assert math.isnan(fresh.REGISTRY.get_sample_value(f"chat_probe_{name}"))
    for failed in ("", *probing.STEPS, "unexpected"):
        assert fresh.REGISTRY.get_sample_value("chat_probe_looks_total", {"failed": failed}) == 0


async def test_a_message_that_comes_back_is_a_good_look() -> None:
    before = looks("")
    async with probed() as (probe, edge, gateway):
        assert await probe.check()
        assert await probe.check()
        assert gateway.groups == [(ROOM, [UP])], "it is created once"
        assert [said["room"] for said in edge.got] == [ROOM, ROOM]
    assert probe.availability.good == probe.took.total == 2
    assert looks("") == before + 2
    assert REGISTRY.get_sample_value("chat_probe_up") == 1


async def test_each_look_has_a_token_of_its_own_as_a_probe_that_never_ends_outlives_them() -> None:
    async with probed() as (probe, edge, gateway):
        await probe.check()
        await probe.check()
        assert gateway.tokens == [f"{UP}'s 0", f"{UP}'s 1"] == [auth["token"] for auth in edge.auths]


async def bad_check(probe: Probe, step: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = looks(step)
    with monkeypatch.context() as patch:
        patch.setattr(probing, "CHECK_TIMEOUT_S", SOON_S)
        assert not await probe.check()
    assert looks(step) == before + 1
    assert probe.availability.outages == 1
    assert REGISTRY.get_sample_value("chat_probe_up") == 0


def is_away(_edge: PlainEdge, gateway: Gateway) -> None:
    gateway.closed = True


def leads_nowhere(_edge: PlainEdge, gateway: Gateway) -> None:
    gateway.url = "http://127.0.0.1:1"


def refuses_the_student(edge: PlainEdge, _gateway: Gateway) -> None:
    edge.refuse = {"code": "invalid_token"}


def lets_nobody_into_the_room(edge: PlainEdge, _gateway: Gateway) -> None:
    edge.joined = {}


def refuses_the_message(edge: PlainEdge, _gateway: Gateway) -> None:
    edge.answer = lambda _: {"error": {"code": "unavailable", "message": "no"}}


def keeps_the_message(edge: PlainEdge, _gateway: Gateway) -> None:
    edge.answer = lambda said: {"id": said["id"], "seq": 4, "timestamp": 2}


@pytest.mark.parametrize(
    ("goes_wrong", "step"),
    [
        (is_away, "location"),
        (leads_nowhere, "connect"),
        (refuses_the_student, "connect"),
        (lets_nobody_into_the_room, "joined"),
        (refuses_the_message, "ack"),
        (keeps_the_message, "message"),
    ],
)
async def test_a_look_that_fails_names_its_step(
    goes_wrong: Callable[[PlainEdge, Gateway], None], step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with probed() as (probe, edge, gateway):
        assert await probe.check()
        goes_wrong(edge, gateway)
        await bad_check(probe, step, monkeypatch)


async def test_an_edge_that_leaves_while_it_is_looked_at_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    async with probed() as (probe, edge, _):

        def leave(said: dict[str, Any]) -> dict[str, Any]:
            edge.io.start_background_task(edge.io.disconnect, edge.sids[-1])
            return {"id": said["id"], "seq": 4, "timestamp": 2}

        edge.answer = leave
        await bad_check(probe, "message", monkeypatch)


async def test_what_nobody_thought_of_is_a_bad_look_and_not_the_last_one(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async with probed() as (probe, _, gateway):
        good, gateway.locate = gateway.locate, None  # type: ignore[method-assign,assignment]
        await bad_check(probe, "unexpected", monkeypatch)
        assert "not callable" in caplog.text
        gateway.locate = good  # type: ignore[method-assign]
        assert await probe.check()


async def test_an_outage_began_when_the_first_bad_look_did_and_not_when_it_gave_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with probed() as (probe, edge, _):
        answer, edge.answer = edge.answer, lambda said: {"id": said["id"], "seq": 4, "timestamp": 2}
        await bad_check(probe, "message", monkeypatch)
        edge.answer = answer
        assert await probe.check()
    assert probe.availability.down_s >= SOON_S


async def test_looks_go_on_after_a_bad_one_and_end_when_their_time_is_over() -> None:
    async with probed() as (probe, _, gateway):
        gateway.closed = True
        await probe.run(every_s=0.01, for_s=0.05)
        assert probe.summary == f"0 of {probe.availability.checks} checks good"
        gateway.closed = False
        assert await probe.check()
    assert probe.availability.checks >= 2
    assert probe.availability.mtrs_s is not None
    assert "MTRS" in probe.summary
