"""Laws of the fold: the last record of a key counts, in any order of groups and users."""

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from runtime import metrics
from runtime.memberships import Memberships
from schemas import topics
from schemas.ids import membership_key
from schemas.log_records import Encoded, MemberJoined, encode, tombstone
from tests.counting import counting

GROUPS = "abc"
UPS = ("up000000001", "up000000002")
changes = st.lists(st.tuples(st.sampled_from(GROUPS), st.sampled_from(UPS), st.booleans()))


@dataclass
class Read:
    """A consumed record, as far as folding looks at it."""

    record: Encoded
    topic: str = topics.MEMBERSHIPS
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    key: bytes | None = field(init=False)

    def __post_init__(self) -> None:
        self.key, self.value, self.headers = self.record


def record(group: str, up: str, member: bool, at: int = 0) -> Read:
    key = membership_key(group, up)
    if member:
        return Read(encode(MemberJoined(group=group, up=up), key=key, source="test"), timestamp=at)
    return Read(tombstone(key=key, source="test", kind=MemberJoined), timestamp=at)


def test_all_memberships_share_the_texts_of_their_groups_and_users() -> None:
    memberships, groups = Memberships(), ("leic", "maths", "physics")
    memberships.take(0, [record(group, up, True) for group in groups for up in UPS])
    assert len({id(group) for up in UPS for group in memberships.groups_of(up)}) == len(groups)
    assert len({id(up) for group in groups for up in memberships.members_of(group)}) == len(UPS)


@given(changes)
def test_the_last_record_of_each_membership_counts_and_listeners_hear_of_changes_only(
    history: list[tuple[str, str, bool]],
) -> None:
    memberships = Memberships()
    heard: list[tuple[str, str, bool, int]] = []
    memberships.on_change(lambda *change: heard.append(change))
    memberships.take(0, [record(*change, at) for at, change in enumerate(history)])
    there: set[tuple[str, str]] = set()
    changed = []
    for at, (group, up, member) in enumerate(history):
        if member != ((group, up) in there):
            there ^= {(group, up)}
            changed.append((group, up, member, at))
    assert heard == changed
    for group in GROUPS:
        assert memberships.members_of(group) == {up for up in UPS if (group, up) in there}
    for up in UPS:
        groups = {group for group in GROUPS if memberships.is_member(group, up)}
        assert groups == memberships.groups_of(up) == {group for group in GROUPS if (group, up) in there}
        assert memberships.count_of(up) == len(groups)
    assert set(memberships._members) == {group for group, _ in there}, "what nobody is in is not kept"
    assert set(memberships._groups) == {up for _, up in there}


def test_a_record_that_cannot_be_read_is_counted_and_changes_nothing_and_the_rest_goes_on() -> None:
    memberships, bad = Memberships(), counting(metrics.BAD_RECORDS.labels(topic=topics.MEMBERSHIPS))
    poison = record("a", "up000000001", True)
    poison.value, poison.topic = b"{", topics.in_generation(topics.MEMBERSHIPS, 2)
    wrong_key = record("a", "up000000001", True)
    wrong_key.key = b"b/up000000001"
    no_key = record("a", "up000000001", False)
    no_key.key = None
    no_text = record("a", "up000000001", False)
    no_text.key = b"\xff"
    memberships.take(0, [poison, wrong_key, no_key, no_text, record("c", "up000000002", True)])
    assert bad() == 4
    assert memberships.groups_of("up000000001") == frozenset()
    assert memberships.groups_of("up000000002") == {"c"}
