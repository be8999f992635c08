"""Correct histories are never flagged; one planted fault of each kind is always flagged, by its name."""

from collections.abc import Callable
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given

from tests.faults.checker import Fault, check
from tests.faults.counterexample import report
from tests.faults.history import History, Joined, Left, Received, Sight, Step
from tests.unit.faults.histories import correct_histories, make_history

Plant = Callable[[History, Random], None]


@given(correct_histories)
def test_a_correct_history_is_never_flagged(history: History) -> None:
    findings = check(history)
    assert findings == [], report(history, findings)
    assert report(history, findings).startswith("all promises kept")


def received(history: History, rng: Random, at_least: int = 1) -> tuple[Sight, list[int]]:
    """Return a sight and where messages came in it, so many or more on one connection."""
    found = []
    for sight in history.sights:
        places = [n for n, step in enumerate(sight.steps) if isinstance(step, Received)]
        if len(places) >= at_least:
            found.append((sight, places))
    return rng.choice(found)


def followed(history: History, rng: Random) -> tuple[Sight, int]:
    """Return a sight and where a message came that another one follows: no hole can excuse its absence."""
    return rng.choice(
        [
            (sight, n)
            for sight in history.sights
            for n, (one, two) in enumerate(pairwise(sight.steps))
            if isinstance(one, Received) and isinstance(two, Received)
        ]
    )


def drop(history: History, rng: Random) -> None:
    sight, place = followed(history, rng)
    del sight.steps[place]


def drop_the_last(history: History, rng: Random) -> None:
    sights = [sight for sight in history.sights if isinstance(sight.steps[-1], Received)]
    rng.choice(sights).steps.pop()


def double(history: History, rng: Random) -> None:
    sight, places = received(history, rng)
    place = rng.choice(places)
    sight.steps.insert(rng.randint(place + 1, len(sight.steps)), sight.steps[place])


def swap(history: History, rng: Random) -> None:
    sight, places = received(history, rng, 2)
    one, two = sorted(rng.sample(places, 2))
    sight.steps[one], sight.steps[two] = sight.steps[two], sight.steps[one]


def alter(sight: Sight, place: int, **changes: object) -> None:
    step = sight.steps[place]
    assert isinstance(step, Received)
    sight.steps[place] = step._replace(message=step.message.model_copy(update=changes))


def change_on_the_way(history: History, rng: Random) -> None:
    sight, places = received(history, rng)
    alter(sight, rng.choice(places), message="other")


def change_the_time_on_the_way(history: History, rng: Random) -> None:
    sight, places = received(history, rng)
    alter(sight, rng.choice(places), timestamp=1)


def change_in_the_store(history: History, rng: Random) -> None:
    place = rng.randrange(len(history.stored))
    history.stored[place] = history.stored[place].model_copy(update={"message": "other"})


def leak_to_a_stranger(history: History, rng: Random) -> None:
    sight, places = received(history, rng)
    step = sight.steps[rng.choice(places)]
    assert isinstance(step, Received)
    joined = Joined(step.message.seq - 1, True, step.connection, step.at_s)
    spied: list[Step] = [joined, step, Left(step.at_s)]
    history.sights.append(Sight("up999999999", "up999999999", sight.group, spied))


def leak_after_a_removal(history: History, rng: Random) -> None:
    sight, places = received(history, rng)
    step = sight.steps[rng.choice(places)]
    history.memberships = [
        one._replace(until_s=step.at_s - 1.5) if (one.group, one.up) == (sight.group, sight.up) else one
        for one in history.memberships
    ]


def lose_an_acked_one(history: History, rng: Random) -> None:
    ids = {ack.id for ack in history.acks}
    lost = rng.choice([one for one in history.stored if one.id in ids])
    history.stored.remove(lost)
    for sight in history.sights:
        sight.steps = [
            step for step in sight.steps if not (isinstance(step, Received) and step.message == lost)
        ]


def ack_another_seq(history: History, rng: Random) -> None:
    place = rng.randrange(len(history.acks))
    history.acks[place] = history.acks[place]._replace(seq=history.acks[place].seq + 1)


def store_twice(history: History, rng: Random) -> None:
    first = rng.choice(history.stored)
    again = max(one.seq for one in history.stored) + 1
    history.stored.append(first.model_copy(update={"seq": again}))


def store_nothing_that_was_received(history: History, rng: Random) -> None:
    sight, places = received(history, rng)
    step = sight.steps[rng.choice(places)]
    assert isinstance(step, Received)
    history.stored.remove(step.message)
    history.acks = [ack for ack in history.acks if ack.id != step.message.id]


def invent(history: History, rng: Random) -> None:
    first = rng.choice(history.stored)
    history.stored.append(first.model_copy(update={"id": "nobody-said-this", "seq": 10_000}))


def hide_a_hole(history: History, rng: Random) -> None:
    """The edge says 'recovered' although it sends nothing of what was missed."""
    sight, place = followed(history, rng)
    step = sight.steps[place]
    assert isinstance(step, Received)
    sight.steps[place] = Joined(step.message.seq, True, step.connection, step.at_s)


PLANTED: list[tuple[Plant, Fault]] = [
    (drop, Fault.DROPPED),
    (drop_the_last, Fault.DROPPED),
    (hide_a_hole, Fault.DROPPED),
    (double, Fault.DOUBLED),
    (swap, Fault.SWAPPED),
    (change_on_the_way, Fault.CHANGED),
    (change_the_time_on_the_way, Fault.CHANGED),
    (change_in_the_store, Fault.CHANGED),
    (leak_to_a_stranger, Fault.LEAKED),
    (leak_after_a_removal, Fault.LEAKED),
    (lose_an_acked_one, Fault.ABSENT),
    (ack_another_seq, Fault.MISACKED),
    (store_twice, Fault.STORED_TWICE),
    (store_nothing_that_was_received, Fault.UNSTORED),
    (invent, Fault.INVENTED),
]


def test_a_fault_is_planted_of_every_kind() -> None:
    assert {fault for _, fault in PLANTED} == set(Fault)


@pytest.mark.parametrize(("plant", "fault"), PLANTED, ids=lambda value: getattr(value, "__name__", ""))
@pytest.mark.parametrize("seed", range(20))
def test_a_planted_fault_is_flagged_by_name_and_shown(plant: Plant, fault: Fault, seed: int) -> None:
    rng = Random(seed)
    history = make_history(rng, messages=40)
    plant(history, rng)
    findings = check(history)
    assert fault in {finding.fault for finding in findings}, report(history, findings)
    assert fault.value in report(history, findings)


def test_the_counterexample_is_of_the_smallest_group_and_shows_what_came_around_it() -> None:
    rng = Random(3)
    history = make_history(rng, groups=2, members=6, messages=60)
    small, large = sorted(
        {sight.group for sight in history.sights},
        key=lambda group: sum(sight.group == group for sight in history.sights),
    )
    lost = {}
    for group in (small, large):
        sight = next(one for one in history.sights if one.group == group and len(one.steps) > 10)
        place = next(n for n, step in enumerate(sight.steps) if n > 2 and isinstance(step, Received))
        lost[group] = sight.steps.pop(place)
    said = report(history, check(history))
    missing = lost[small]
    assert isinstance(missing, Received)
    assert f"P2 dropped: {missing.message.id} of group {small}" in said
    assert f"stored as seq {missing.message.seq}" in said
    assert f"of group {large}" not in said
    assert said.count(" s  ") >= 2, said
