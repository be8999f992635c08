"""Under pressure whoever has the most goes first, and who has little is never too much."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from edge_server.shares import SMALL, Shares

users = st.sampled_from([f"up20200000{n}" for n in range(5)])


@given(st.lists(st.tuples(users, st.booleans()), max_size=300))
def test_it_knows_what_each_has_and_forgets_who_has_nothing(steps: list[tuple[str, bool]]) -> None:
    shares, model = Shares(), Counter[str]()
    for up, comes in steps:
        if comes:
            shares.add(up)
            model[up] += 1
        elif model[up]:
            shares.remove(up)
            model[up] -= 1
    here = {up: own for up, own in model.items() if own}
    assert len(shares) == len(here)
    for up in model:
        own = here.get(up, 0)
        assert shares.is_large(up) is (own >= SMALL and own >= sum(here.values()) / len(here))


@given(st.dictionaries(users, st.integers(1, 200), min_size=1))
def test_somebody_can_always_go_first_unless_all_have_little(here: dict[str, int]) -> None:
    shares = Shares()
    for up, own in here.items():
        for _ in range(own):
            shares.add(up)
    most = max(here, key=lambda up: here[up])
    assert shares.is_large(most) is (here[most] >= SMALL)
    assert not shares.is_large("up209999999")


@given(flooders=st.integers(1, 30), others=st.integers(1, 30), takes=st.integers(5, 50))
def test_flooders_come_down_to_little_while_the_others_are_taken(
    flooders: int, others: int, takes: int
) -> None:
    """In each round everybody wants in, the others by one message; the log takes some of each."""
    shares, pending = Shares(), Counter[str]()
    for round_ in range(60):
        for n in range(flooders):
            up = f"flooder {n}"
            while pending[up] < 200 and not (round_ and shares.is_large(up)):
                shares.add(up)
                pending[up] += 1
        for n in range(others):
            up = f"other {n}"
            assert not shares.is_large(up)
            if not pending[up]:
                shares.add(up)
                pending[up] += 1
        for up in pending:
            for _ in range(min(takes, pending[up])):
                shares.remove(up)
                pending[up] -= 1
    if flooders <= others:
        assert max(pending.values()) <= SMALL
