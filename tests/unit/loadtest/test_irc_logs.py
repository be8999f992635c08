"""Logs become messages: what counts, what the clock means, and that the text stays as it is."""

from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from loadtest.irc_logs import IrcMessage, parse, read_logs

REAL_LOGS = Path(__file__).resolve().parents[4] / "shared" / "data" / "irc"

nicks = st.text(st.characters(codec="utf-8", exclude_characters="><\n"), min_size=1)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\n"))
clocks = st.integers(0, 24 * 60 - 1)


def line(clock: int, nick: str, text: str) -> bytes:
    return f"[{clock // 60:02}:{clock % 60:02}] <{nick}> {text}".encode()


@given(st.lists(st.tuples(clocks, nicks, texts)))
def test_every_message_is_kept_with_nick_and_text_as_they_are(said: list[tuple[int, str, str]]) -> None:
    messages = parse(b"\n".join(line(*one) for one in said))
    assert [(m.nick, m.text) for m in messages] == [(nick, text) for _, nick, text in said]


@given(st.lists(clocks))
def test_the_minute_never_goes_back_and_starts_at_zero(read: list[int]) -> None:
    minutes = [m.minute for m in parse(b"\n".join(line(clock, "ana", "olá") for clock in read))]
    assert minutes[:1] in ([], [0])
    assert all(before <= after for before, after in pairwise(minutes))


@given(clocks, st.integers(0, 24 * 60 - 1))
def test_a_minute_advances_by_what_the_clock_advances(start: int, later: int) -> None:
    passes_midnight = start + later >= 24 * 60
    clock = (start + later) % (24 * 60)
    minute = parse(line(start, "ana", "") + b"\n" + line(clock, "rui", ""))[1].minute
    assert minute == (later % 720 if passes_midnight else later)


@pytest.mark.parametrize(
    "other",
    [
        b"=== ana [~ana@example.org]  has joined #ubuntu",
        b"[12:00]  * ana waves",
        b"[12:00] <> nobody",
        b"[12:00] ana: no brackets",
        b"said: [12:00] <ana> quoted",
        b"",
    ],
)
def test_what_is_not_a_message_is_left_out(other: bytes) -> None:
    assert parse(b"[12:00] <a> one\n" + other + b"\n[12:01] <b> two") == [
        IrcMessage(0, "a", "one"),
        IrcMessage(1, "b", "two"),
    ]


@given(st.binary().filter(lambda data: b"\n" not in data))
def test_any_bytes_are_some_text(data: bytes) -> None:
    (message,) = parse(b"[00:00] <ana> " + data)
    assert message.text.encode() == data or message.text.encode("latin-1") == data


def test_only_logs_in_which_somebody_speaks_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("nothing that anybody said\n")
    (tmp_path / "b.log").write_text("[10:00] <ana> olá\n")
    (tmp_path / "notes.txt").write_text("[10:00] <rui> not a log\n")
    assert read_logs(tmp_path) == read_logs(tmp_path / "b.log") == {"b.log": [IrcMessage(0, "ana", "olá")]}


def test_a_folder_without_messages_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.log").write_text("nothing that anybody said\n")
    with pytest.raises(ValueError, match=r"holds no \*\.log with lines like"):
        read_logs(tmp_path)


def test_a_folder_that_is_not_there_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        read_logs(tmp_path / "nowhere")


@pytest.mark.skipif(not REAL_LOGS.is_dir(), reason="the real logs are not beside the checkout")
def test_the_real_logs_hold_the_messages_and_nicks_that_their_readme_says() -> None:
    logs = read_logs(REAL_LOGS).values()
    assert len(logs) == 24
    assert sum(len(log) for log in logs) == 30_973
    assert len({message.nick for log in logs for message in log}) == 3_058
    assert all(log[-1].minute < 24 * 60 for log in logs)
