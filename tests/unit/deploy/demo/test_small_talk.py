"""Students say something plausible in their own groups, and a talk ends by itself."""

import random

from hypothesis import given
from hypothesis import strategies as st

from deploy.demo import small_talk
from schemas.log_records import MAX_TEXT_BYTES

dice = st.integers().map(random.Random)


@given(dice, st.lists(st.text(min_size=1), min_size=1))
def test_an_opening_is_said_in_one_of_the_groups(rng: random.Random, groups: list[str]) -> None:
    group, text = small_talk.opening(rng, groups)
    assert group in groups
    assert text
    assert "{" not in text
    assert len(text.encode()) <= MAX_TEXT_BYTES


@given(dice)
def test_pauses_are_never_negative(rng: random.Random) -> None:
    assert small_talk.pause_s(rng) >= 0


def test_a_message_causes_less_than_one_reply_however_many_read_it() -> None:
    rng = random.Random(1)
    for readers in (1, 5, 40, 400):
        messages = 2_000
        replies = sum(
            small_talk.reply(rng, readers) is not None for _ in range(messages) for _ in range(readers)
        )
        assert 0 < replies / messages < 0.6


def test_the_same_dice_say_the_same() -> None:
    said = [small_talk.opening(random.Random(7), ["a", "b"]) for _ in range(3)]
    assert len(set(said)) == 1
