"""Runs a service: start, supervised background tasks, signals, and a stop within its deadline.

A service's ``app.py`` has a function that starts its parts on a `Service`. Parts are closed in the reverse
order. A background task that dies is logged, counted, shown in the service's health and started again; it is
a fault until it runs again. One that keeps dying ends the process, and so does a `Fatal`.
"""

import asyncio
import gc
import logging
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import uvloop
from aiohttp import web

from runtime import logs, metrics, open_files
from runtime.access_log import AccessLog
from runtime.bounded_runner import BoundedRunner
from runtime.health import Health, waits
from runtime.read_settings import S, load
from runtime.settings import ServiceSettings

log = logging.getLogger(__name__)

MAX_FAILURES_IN_A_ROW = 8
RESTART_AFTER_S = 0.1
"""Doubled with each failure in a row."""
MAX_RESTART_AFTER_S = 5.0
WELL_AFTER_S = 30.0
LOOP_LAG_INTERVAL_S = 0.25
LEAVE_PART_AFTER_S = 0.1
"""Once the deadline of a stop has passed, each part that has yet to be closed gets no more than this."""
FINISH_WITHIN_S = 4.0
IDLE_CONNECTION_S = 130.0
"""A connection without a whole request head for this long is closed, also if it sends it byte by byte.

A proxy must close an idle connection first, as nginx does after 60 s and Caddy after 120: a POST that it
sends while we close is lost, and its client is answered 502."""
GC_THRESHOLDS = (50_000, 20, 100)
"""With the interpreter's own thresholds, services with many objects spend a third of their time on garbage
collection, and stop for 80 ms and more in each full one."""


Start = Callable[["Service"], Coroutine[Any, Any, object]]
"""Puts a service's parts together; returns when all of them have started."""


class Fatal(RuntimeError):
    """A fault that no restart of a part can mend: the process must end and say why."""


class Service:
    """A running service: its settings, health, tasks, ports and resources."""

    def __init__(self, name: str, settings: ServiceSettings) -> None:
        self.name = name
        self.settings = settings
        self.health = Health(name, lambda: self._faults_of(down=True), lambda: self._faults_of(down=False))
        self.ops = web.Application()
        self.health.add_routes(self.ops)
        self.resources = AsyncExitStack()
        self._runners: list[BoundedRunner] = []
        self.stopping = asyncio.Event()
        self.failure: BaseException | None = None
        self.started = False
        """Whether all parts have started: before that no work must be sent here."""
        self._faults: dict[str, str] = {}
        """Recent faults by task, of those that are down now (``_down``) and those that run again."""
        self._down: set[str] = set()
        self.health.ready("start", lambda: None if self.started else "not all parts have started yet")
        self.health.ready("waiting for", lambda: None if self.started else waits())

    def supervise(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run ``run`` in the background until the service stops; it is not expected to return."""
        metrics.TASK_RESTARTS.labels(task=name)
        task = asyncio.create_task(self._keep_running(name, run), name=name)
        self.resources.push_async_callback(_cancel, task)

    async def open_ops(self) -> int:
        """Serve the ops port. Called first, so that health answers while the other parts still start."""
        return await self.serve(self.ops, self.settings.ops_host, self.settings.ops_port)

    def fail(self, error: BaseException) -> None:
        """End the process, with this as the reason."""
        self.failure = self.failure or error
        self.stopping.set()

    async def stop_serving(self) -> None:
        """Close all ports but the ops one, after answering the requests under way."""
        await asyncio.gather(*(runner.cleanup() for runner in self._runners))

    async def serve(
        self,
        app: web.Application,
        host: str,
        port: int,
        *,
        finish_within_s: float = FINISH_WITHIN_S,
    ) -> int:
        """Serve ``app`` until the service stops. Return the port, which is a free one if ``port`` is 0.

        Raises `Fatal` if nothing can listen there: the error itself does not say where.
        Only the ops port logs no requests, and answers until the end: probes and scrapes come all the time.
        At a stop requests under way must be read in half of ``finish_within_s``, and answered in all of it.
        """
        is_ops = app is self.ops
        logger = logging.getLogger(logs.ACCESS_LOG)
        access_log = AccessLog(logger)
        runner = BoundedRunner(
            app,
            most=self.settings.max_open_connections,
            access_log=None if is_ops else logger,
            access_log_class=access_log.logger_class(),
            shutdown_timeout=finish_within_s / 2,
            keepalive_timeout=IDLE_CONNECTION_S,
            auto_decompress=False,
        )
        self.resources.callback(access_log.write)
        await runner.setup()
        self.resources.push_async_callback(runner.cleanup)
        if not is_ops:
            self._runners.append(runner)
        site = web.TCPSite(runner, host, port, backlog=4096)
        try:
            await site.start()
        except (OSError, UnicodeError) as error:
            raise Fatal(f"cannot listen on {host!r}, port {port}: {error}") from error
        return int(runner.addresses[0][1])

    def _faults_of(self, *, down: bool) -> str | None:
        """Return the recent faults of tasks that are down, or of those that run again."""
        return (
            "; ".join(fault for name, fault in self._faults.items() if (name in self._down) is down) or None
        )

    async def _keep_running(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        loop = asyncio.get_running_loop()
        failures = 0
        while True:
            started = loop.time()
            try:
                await self._run_once(name, run)
            except Fatal as error:
                log.critical("the service cannot go on", extra=logs.facts(task=name, reason=str(error)))
                return self.fail(error)
            except (Exception, asyncio.CancelledError) as error:
                if is_being_cancelled():
                    raise
                failures = 1 if loop.time() - started > WELL_AFTER_S else failures + 1
                metrics.TASK_RESTARTS.labels(task=name).inc()
                self._faults[name] = f"{name}: {type(error).__name__}"
                self._down.add(name)
                log.exception("a background task died", extra=logs.facts(task=name, failures=failures))
                if failures >= MAX_FAILURES_IN_A_ROW:
                    return self.fail(error)
                await asyncio.sleep(min(RESTART_AFTER_S * 2**failures, MAX_RESTART_AFTER_S))

    async def _run_once(self, name: str, run: Callable[[], Awaitable[None]]) -> None:
        """Run once, in a task of its own: a cancellation that stays counted there ends with that task."""
        self._down.discard(name)
        recovered = asyncio.get_running_loop().call_later(WELL_AFTER_S, self._faults.pop, name, None)
        try:
            await asyncio.ensure_future(run())
        finally:
            recovered.cancel()
        raise RuntimeError(f"{name} ended by itself")


def is_being_cancelled() -> bool:
    """Return whether the current task is being cancelled.

    If it is not, a `CancelledError` has leaked out of a library's own tasks (aiokafka does so when a broker
    goes away while a consumer is starting) and is a failure like any other. Before Python 3.13 a `TaskGroup`
    that failed leaves its own cancellation counted: run it in a task that ends with it.
    """
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _cancel(task: asyncio.Task[Any]) -> None:
    """Cancel a task and wait for its end. Awaiting it directly would hide our own cancellation."""
    task.cancel()
    await asyncio.wait({task})


def run(name: str, kind: type[S], start: Callable[[Service, S], Coroutine[Any, Any, object]]) -> None:
    """Run a service until SIGTERM or SIGINT, then exit: 0 after a clean stop, 1 after a failure.

    Exit with 2 if no logs can be written, as for any setting that is wrong.
    """
    settings = load(kind, name)
    open_files.allow_all()
    try:
        logs.install(name, settings)
    except OSError as error:
        sys.stderr.write(f"{name}: LOG_DIR: {error}\n")
        sys.exit(2)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        code = runner.run(_run_until_stopped(name, settings, lambda service: start(service, settings)))
        # Closing the loop would wait for threads: to look up a name that nobody answers takes 20 s or more.
        logging.shutdown()
        os._exit(code)


async def _run_until_stopped(name: str, settings: ServiceSettings, start: Start) -> int:
    service = Service(name, settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, service.stopping.set)
    async with running(service, start):
        collect_less()
        await service.stopping.wait()
        log.info("stopping", extra=logs.facts(service=name))
    return 1 if service.failure else 0


@asynccontextmanager
async def running(service: Service, start: Start) -> AsyncIterator[Service]:
    """Start a service within this event loop and stop it at the end of the block (tests use this too)."""
    service.supervise("loop lag", _measure_loop_lag)
    starting = asyncio.create_task(_start(service, start), name="start")
    stopping = asyncio.create_task(service.stopping.wait())
    try:
        await asyncio.wait({starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        yield service
    finally:
        service.stopping.set()
        await stopping
        await _cancel(starting)
        await _close(service)


async def _start(service: Service, start: Start) -> None:
    try:
        await start(service)
    except (Exception, asyncio.CancelledError) as error:
        if is_being_cancelled():
            raise
        fault = None if isinstance(error, Fatal) else error
        log.critical(
            "the service cannot start", exc_info=fault, extra=logs.facts(reason=str(error) or repr(error))
        )
        service.fail(error)
    else:
        service.started = True
        log.info("started", extra=logs.facts(service=service.name, pid=os.getpid()))


def collect_less() -> None:
    """Exempt what was made at start from garbage collection (`gc.freeze`), and collect less often."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(*GC_THRESHOLDS)


async def _close(service: Service) -> None:
    deadline_s = service.settings.shutdown_deadline_s
    closing = asyncio.create_task(service.resources.aclose())
    await asyncio.wait({closing}, timeout=deadline_s)
    if not closing.done():
        log.error("the deadline of the stop has passed", extra=logs.facts(deadline_s=deadline_s))
        service.fail(TimeoutError("shutdown deadline"))
    while not closing.done():
        # A cancellation ends the closing of one part only: the next one may hang as well.
        closing.cancel()
        await asyncio.wait({closing}, timeout=LEAVE_PART_AFTER_S)
    if not closing.cancelled():
        closing.result()


async def _measure_loop_lag() -> None:
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + LOOP_LAG_INTERVAL_S
        await asyncio.sleep(LOOP_LAG_INTERVAL_S)
        metrics.LOOP_LAG.observe(max(0.0, loop.time() - due))
