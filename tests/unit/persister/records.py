"""Records as a consumer hands them over, strategies that make them, and batches of them."""

from collections.abc import Iterable

from aiokafka import ConsumerRecord, TopicPartition
from hypothesis import strategies as st

from persister.batch import Batch, Limits
from persister.read_records import read
from schemas import topics
from schemas.ids import membership_key
from schemas.log_records import (
    Encoded,
    GroupCreated,
    MemberJoined,
    MessageSent,
    PresenceChanged,
    ProfileChanged,
    encode,
    tombstone,
)
from tests.records import consumed

PARTITIONS = 2


def message(*, group: str = "g1", up: str = "up201900001", id: str = "m1", text: str = "hi") -> Encoded:  # noqa: A002 - the name on the wire
    """Return a chat message as an edge writes it."""
    sent = MessageSent(id=id, group=group, up=up, message=text, sent_at=5)
    return encode(sent, key=group, source="test")


def group(name: str = "Group", *, id: str = "g1") -> Encoded:  # noqa: A002 - the name on the wire
    """Return the creation of a group."""
    return encode(GroupCreated(group=id, name=name, created_by=None), key=id, source="test")


def joined(group_id: str = "g1", up: str = "up201900001") -> Encoded:
    """Return a membership's begin."""
    record = MemberJoined(group=group_id, up=up)
    return encode(record, key=membership_key(group_id, up), source="test")


def left(group_id: str = "g1", up: str = "up201900001") -> Encoded:
    """Return a membership's end."""
    return tombstone(key=membership_key(group_id, up), source="test", kind=MemberJoined)


def profile(name: str = "Ana", *, up: str = "up201900001") -> Encoded:
    """Return a user's names."""
    return encode(ProfileChanged(up=up, username=name.lower(), name=name), key=up, source="test")


def presence(
    *, online: bool, up: str = "up201900001", edge: str | None = None, process: str | None = None
) -> Encoded:
    """Return a user's presence."""
    said = PresenceChanged(up=up, online=online, edge=edge, process=process)
    return encode(said, key=f"{up}/online", source="test")


_ups = st.sampled_from(["up201900001", "up201900002"])
_groups = st.sampled_from(["g1", "g2"])
_names = st.sampled_from(["A", "B", "C"])
_ids = st.sampled_from(["m1", "m2", "m3"])

any_message = st.builds(
    lambda g, u, i, t: (topics.MESSAGES, message(group=g, up=u, id=i, text=t)), _groups, _ups, _ids, _names
)
any_fold = st.one_of(
    st.builds(lambda n, g: (topics.GROUPS, group(n, id=g)), _names, _groups),
    st.builds(lambda g, u: (topics.MEMBERSHIPS, joined(g, u)), _groups, _ups),
    st.builds(lambda g, u: (topics.MEMBERSHIPS, left(g, u)), _groups, _ups),
    st.builds(lambda n, u: (topics.USERS, profile(n, up=u)), _names, _ups),
    st.builds(lambda o, u: (topics.USERS, presence(online=o, up=u)), st.booleans(), _ups),
)
any_poison = st.builds(
    lambda topic, value: (topic, Encoded(b"g1", value, [])),
    st.sampled_from([topics.MESSAGES, topics.GROUPS, topics.USERS]),
    st.binary(max_size=20),
)


@st.composite
def logs(draw: st.DrawFn) -> list[ConsumerRecord]:
    """Draw records of all topics in an order in which a consumer may see them: by partition, in its order."""
    ends: dict[TopicPartition, int] = {}
    found = []
    for topic, record in draw(st.lists(st.one_of(any_message, any_fold, any_poison), max_size=40)):
        # A key has one partition; which one doesn't matter here.
        partition = sum(record.key) % PARTITIONS
        tp = TopicPartition(topic, partition)
        offset = ends.get(tp, 0) + draw(st.integers(0, 2))
        ends[tp] = offset + 1
        found.append(
            consumed(topic, record, offset=offset, partition=partition, timestamp=draw(st.integers(1, 10**6)))
        )
    return found


def partition_of(record: ConsumerRecord) -> TopicPartition:
    """Return the partition that a record stands in."""
    return TopicPartition(record.topic, record.partition)


LARGE = Limits(records=1_000, bytes=10**9, age_s=1.0)


def batch_of(log: Iterable[ConsumerRecord], limits: Limits = LARGE, now: float = 0.0) -> Batch:
    batch = Batch(limits, epoch=1)
    for record in log:
        batch.add(partition_of(record), read(record), now)
    return batch
