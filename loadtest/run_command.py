"""A run as a command: prints a line a second and the result, keeps it, and ends early at Ctrl-C."""

import asyncio
import shutil
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import uvloop

from loadtest.keeping import keep
from loadtest.report import page
from loadtest.results import Result, ShownSecond, formatted
from loadtest.run import Target, run_scenario
from loadtest.scenario import Scenario


def run_and_keep(scenario: Scenario, target: Target, folder: Path, *, processes: int) -> int:
    """Run a scenario, show and keep its result in an open folder, and return the exit status."""
    live = LiveLine(scenario.seconds)

    async def run() -> Result:
        ending = asyncio.Event()
        with interrupt_ends(ending):
            return await run_scenario(
                scenario, target, processes=processes, on_second=live.show, ending=ending
            )

    result = uvloop.run(run())
    live.finish()
    return show_and_keep(result, folder)


def show_and_keep(result: Result, folder: Path) -> int:
    """Print what was judged, write result and report into a folder, and return the exit status."""
    for judged in result.judged:
        print(f"{'ok  ' if judged.held else 'FAIL'}  {judged.what}: {judged.got} (wanted {judged.wanted})")
    cores = dict(result.server_cpu)
    if result.others_cpu is not None:
        cores["everything else"] = result.others_cpu
    used = ", ".join(f"{name} {used:.2f}" for name, used in cores.items())
    generator = formatted(result.generator_us_per_delivery, "µs")
    p50, p99 = (formatted(result.deliver.known(one), "ms") for one in ("p50", "p99"))
    print(
        f"{result.verdict.received:,} deliveries of {result.verdict.said:,} messages; "
        f"{formatted(result.deliveries_per_s, '/s')} while measured; p50 {p50}, "
        f"p99 {p99}; generator {generator} a delivery" + (f"; cores used: {used}" if used else "")
    )
    if result.never_seen:
        print(f"could not be read: {', '.join(result.never_seen)}")
    path = folder / f"load-{result.scenario.name}-{result.started.replace(':', '')[:17]}-{result.run}.json"
    keep(path, result.model_dump_json(indent=1))
    print(f"{path}\n{keep(path.with_suffix('.html'), page([result]))}")
    return 0 if result.ok else 1


@contextmanager
def interrupt_ends(ending: asyncio.Event) -> Iterator[None]:
    """Let the first Ctrl-C or SIGTERM set ``ending``, within a running loop; the next is as it was."""
    loop = asyncio.get_running_loop()
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def end(_number: int, _frame: FrameType | None) -> None:
        restore()
        print("\nending: what was said is still judged; interrupt again to give up", file=sys.stderr)
        loop.call_soon_threadsafe(ending.set)

    for number in before:
        signal.signal(number, end)
    try:
        yield
    finally:
        restore()


class LiveLine:
    """Shows each second of a run in one line; on a terminal it is drawn over itself.

    Elsewhere the seconds of a wait in which nothing comes have one line in all.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._idle = ""
        """What was waited for in the second before, if nothing came in it."""

    def show(self, second: ShownSecond) -> None:
        """Show a second."""
        before, self._idle = self._idle, "" if second.received or second.acked else second.waits_for
        if self._idle and self._idle == before and not sys.stdout.isatty():
            return
        p50, p99 = (f"{second.p50:.1f}", f"{second.p99:.1f}") if second.received else ("-", "-")
        ack_p99 = f"{second.ack_p99:.1f}" if second.acked else "-"
        unusual = f" · waits for {second.waits_for}" if second.waits_for else ""
        if second.refused or second.repeated:
            unusual += f" · refused {second.refused:,} · repeated {second.repeated:,}"
        line = (
            f"{second.at:>4}/{self._seconds:.0f} s{unusual} · online {second.online:>6,}"
            f" · sent {second.planned:>5,}/s · received {second.received:>7,}/s"
            f" · p50 {p50:>6} p99 {p99:>7} ms · ack p99 {ack_p99:>7} ms"
        )
        if sys.stdout.isatty():
            fits = shutil.get_terminal_size().columns - 1
            close = line if len(line) <= fits else " ".join(line.split())
            # What still does not fit is cut: of a line of two rows only the second would be drawn over.
            sys.stdout.write(f"\r\x1b[K{close[:fits]}")
        else:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    def finish(self) -> None:
        """End the line."""
        if sys.stdout.isatty():
            sys.stdout.write("\n")
