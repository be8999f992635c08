"""A probe: every few seconds it connects as a student, sends a message to itself, and waits to receive it.

A check stops at the first step that fails, and reports that step. It never retries within a check.
"""

import asyncio
import logging
import math
import time
from collections.abc import Callable
from typing import Any, Final

import aiohttp
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from loadtest.availability import Availability
from loadtest.connection import ConnectRefusedError, Owner, connect
from loadtest.latency import Latencies
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from schemas.client_events import CHAT_MESSAGE, JOINED, ChatMessage
from schemas.ids import new_id

log = logging.getLogger(__name__)

CHECK_TIMEOUT_S: Final = 10.0
"""Deadline of a check: longer counts as down."""

REGISTRY: Final = CollectorRegistry()
"""The probe's own registry: it has none of the services' metrics."""

CHECKS = Counter(
    "chat_probe_looks_total",
    "Checks, by the step at which they failed; '' is good.",
    ["failed"],
    registry=REGISTRY,
)
UP = Gauge("chat_probe_up", "1 where the last check was good; NaN before the first.", registry=REGISTRY)
SECONDS = Histogram(
    "chat_probe_seconds",
    "From asking where to connect until the message to itself was read back. Rising: look at the edges.",
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0),
    registry=REGISTRY,
)
UPTIME = Gauge("chat_probe_uptime_ratio", "Share of the time up since the probe started.", registry=REGISTRY)
MTBF = Gauge("chat_probe_mtbf_seconds", "Mean time between failures; NaN without any.", registry=REGISTRY)
MTRS = Gauge("chat_probe_mtrs_seconds", "Mean time to restore service; NaN without any.", registry=REGISTRY)


STEPS: Final = ("group", "location", "connect", "joined", "ack", "message")
UNEXPECTED: Final = "unexpected"
"""The step of a check that failed with an unexpected exception."""

for _gauge in (UP, UPTIME, MTBF, MTRS):
    _gauge.set(math.nan)
for _failed in ("", *STEPS, UNEXPECTED):
    CHECKS.labels(failed=_failed)


class CheckFailedError(Exception):
    """A check failed at ``step``."""

    def __init__(self, step: str, why: str) -> None:
        super().__init__(f"{step}: {why}")
        self.step = step


class ProbeOwner(Owner):
    """The owner of one connection: futures for the steps of the one message."""

    def __init__(self, room: str, message_id: str) -> None:
        loop = asyncio.get_running_loop()
        self._room = room
        self._message_id = message_id
        self.joined: asyncio.Future[None] = loop.create_future()
        self.acked: asyncio.Future[Any] = loop.create_future()
        self.read: asyncio.Future[None] = loop.create_future()
        self.lost: asyncio.Future[str] = loop.create_future()

    def on_message(self, message: ChatMessage) -> None:
        """Handle a message: only our own matters."""
        if message.id == self._message_id and not self.read.done():
            self.read.set_result(None)

    def on_event(self, name: str, payload: Any) -> None:
        """Handle any other event: only joining our own room matters."""
        if name == JOINED and self._room in payload["rooms"] and not self.joined.done():
            self.joined.set_result(None)

    def on_lost(self, reason: str) -> None:
        """Keep why the connection ended."""
        if not self.lost.done():
            self.lost.set_result(reason)

    def on_ack(self, answer: Any) -> None:
        """Handle the ack."""
        if not self.acked.done():
            self.acked.set_result(answer)


class Probe:
    """Checks as the student ``up``, who has a group of their own, ``probe-UP``.

    Each check gets a new token: a probe that never ends outlives any token.
    """

    def __init__(self, api: RestApi, up: str, token_of: Callable[[str], str]) -> None:
        self._api = api
        self._up = up
        self._token_of = token_of
        self._room = f"probe-{up}"
        self._has_group = False
        self.availability = Availability()
        self.took = Latencies()

    async def run(self, every_s: float, for_s: float | None = None) -> None:
        """Check every ``every_s``, for ``for_s`` or until cancelled. Failed checks are counted and logged."""
        started = time.monotonic()
        planned = started
        while for_s is None or planned < started + for_s:
            await asyncio.sleep(max(0.0, planned - time.monotonic()))
            await self.check()
            planned = max(planned + every_s, time.monotonic())

    @property
    def summary(self) -> str:
        """The results so far, in one line."""
        seen = self.availability
        mtbf = "no failure" if seen.mtbf_s is None else f"MTBF {seen.mtbf_s:,.0f} s"
        mtrs = "" if seen.mtrs_s is None else f", MTRS {seen.mtrs_s:,.1f} s"
        if not seen.good:
            return f"0 of {seen.checks} checks good"
        took = f"p50 {self.took.percentile_ms(50):,.0f} ms, p99 {self.took.percentile_ms(99):,.0f} ms"
        return (
            f"{seen.good} of {seen.checks} checks good, up {seen.uptime:.3%}; {mtbf}{mtrs}; each took {took}"
        )

    async def check(self) -> bool:
        """Check once, and count the result. Return whether it was good."""
        began, failed = time.monotonic(), ""
        try:
            await self._run_steps()
        except CheckFailedError as error:
            failed = error.step
            log.warning("down: %s", error)
        except Exception:
            failed = UNEXPECTED
            log.exception("down, because of an unexpected error")
        self._count(began, failed)
        return not failed

    async def _run_steps(self) -> None:
        deadline = asyncio.get_running_loop().time() + CHECK_TIMEOUT_S
        token = self._token_of(self._up)
        if not self._has_group:
            creating = self._api.create_group(self._room, [self._up], token, tries=1)
            await _step("group", deadline, creating)
            self._has_group = True
        url = await _step("location", deadline, self._api.locate(token))
        message_id = new_id()
        owner = ProbeOwner(self._room, message_id)
        connecting = connect(owner, SeenFrames(), url, {"token": token})
        connection = await _step("connect", deadline, connecting)
        try:
            await _step("joined", deadline, _unless_lost(owner.joined, owner))
            payload = {"message": "probe", "up": self._up, "room": self._room, "id": message_id}
            connection.emit(CHAT_MESSAGE, {**payload, "timestamp": int(time.time() * 1000)}, owner.on_ack)
            answer = await _step("ack", deadline, _unless_lost(owner.acked, owner))
            if not isinstance(answer, dict) or "error" in answer:
                raise CheckFailedError("ack", str(answer))
            await _step("message", deadline, _unless_lost(owner.read, owner))
        finally:
            connection.close()

    def _count(self, began: float, failed: str) -> None:
        now = time.monotonic()
        CHECKS.labels(failed=failed).inc()
        UP.set(not failed)
        if not failed:
            SECONDS.observe(now - began)
            self.took.record(int((now - began) * 1e6))
        # A failed check counts as down from its start.
        self.availability.record(began if failed else now, not failed)
        UPTIME.set(self.availability.uptime)
        MTBF.set(_or_nan(self.availability.mtbf_s))
        MTRS.set(_or_nan(self.availability.mtrs_s))


async def _step(name: str, deadline: float, work: Any) -> Any:
    try:
        async with asyncio.timeout_at(deadline):
            return await work
    except (OSError, ConnectRefusedError, aiohttp.ClientError) as error:
        raise CheckFailedError(name, str(error) or "too late") from error


async def _unless_lost(wanted: "asyncio.Future[Any]", owner: ProbeOwner) -> Any:
    """Return the result of ``wanted``. Raises OSError if the connection ends first."""
    await asyncio.wait({wanted, owner.lost}, return_when=asyncio.FIRST_COMPLETED)
    if not wanted.done():
        raise ConnectionError(owner.lost.result())
    return wanted.result()


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value
