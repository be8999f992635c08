"""Every step of the growth is the same number of deliveries, said by groups of another size."""

import pytest

from deploy.fitness.growth import DELIVERIES_PER_S, GROUP_SIZES, scenario
from loadtest.crowd import make_crowd
from loadtest.schedule import talk


@pytest.mark.parametrize("members", GROUP_SIZES)
def test_groups_of_any_size_get_as_many_deliveries(members: int) -> None:
    wanted = scenario(members)
    crowd = make_crowd(wanted, "run", 0, 1)
    assert {len(group.members) for group in crowd.groups} == {members}
    said = sum(
        line.at_s >= wanted.seconds - wanted.phases[-1].seconds for line in talk(wanted, crowd, "seed")
    )
    per_s = said * members / wanted.phases[-1].seconds
    assert per_s == pytest.approx(DELIVERIES_PER_S, rel=0.25)
