"""On a terminal one line is drawn over itself; elsewhere a line comes every few seconds."""

import io

from hypothesis import given
from hypothesis import strategies as st

from deploy.demo.progress_bar import DRAW_EVERY_S, LINE_EVERY_S, ProgressBar
from tests.unit.clock import Clock


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_elsewhere_a_line_comes_no_more_often_than_promised() -> None:
    out, clock = io.StringIO(), Clock()
    bar = ProgressBar("work", 1_000, out=out, clock=clock)
    for done in range(1_000):
        clock.now = done * 0.01
        bar.show(done)
    bar.finish(1_000)
    lines = out.getvalue().splitlines()
    assert len(lines) == 1 + int(10 / LINE_EVERY_S)
    assert "\r" not in out.getvalue()
    assert lines[-1] == "work 100% 1,000/1,000"


@given(st.lists(st.tuples(st.integers(0, 2_000), st.text("ab ", max_size=40)), min_size=1))
def test_a_terminal_shows_one_line_that_leaves_nothing_of_the_last(shown: list[tuple[int, str]]) -> None:
    out, clock = Terminal(), Clock()
    bar = ProgressBar("work", 1_000, out=out, clock=clock)
    for done, note in shown:
        clock.now += DRAW_EVERY_S
        bar.show(done, note)
    assert "\n" not in out.getvalue()
    drawn = out.getvalue().split("\r")[1:]
    assert len(drawn) == len(shown)
    widest = 0
    for line in drawn:
        assert len(line) >= widest
        widest = len(line.rstrip())
    bar.finish(1_000)
    assert out.getvalue().endswith("\n")
    assert "[" + "#" * 30 + "] 100%" in out.getvalue()


def test_nothing_to_do_is_done() -> None:
    out = io.StringIO()
    ProgressBar("work", 0, out=out).finish(0)
    assert out.getvalue().startswith("work")
