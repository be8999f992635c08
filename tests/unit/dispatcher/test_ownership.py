"""Who owns the partition, through rebalances."""

from typing import cast

from aiokafka import AIOKafkaConsumer, TopicPartition

from dispatcher.ownership import PARTITION, Ownership


def test_who_keeps_the_partition_reads_on_where_it_was_and_who_lost_it_begins_anew() -> None:
    """What is not read would be lost: reports come again, wishes do not."""
    sought: list[tuple[TopicPartition, int]] = []

    class Consumer:
        def seek(self, partition: TopicPartition, offset: int) -> None:
            sought.append((partition, offset))

    ownership = Ownership(cast(AIOKafkaConsumer, Consumer()))
    ownership.on_partitions_assigned([PARTITION])
    assert (ownership.held, sought) == (True, [])
    ownership.next_offset = 7
    ownership.on_partitions_revoked([PARTITION])
    assert (ownership.held, sought) == (True, []), "it may be given back"
    ownership.on_partitions_assigned([PARTITION])
    assert (ownership.held, sought) == (True, [(PARTITION, 7)])
    assert ownership.assignments == 2, "another may have led before it was given back"
    ownership.on_partitions_assigned([])
    assert (ownership.held, len(sought), ownership.assignments) == (False, 1, 2)
    ownership.on_partitions_assigned([PARTITION])
    assert (ownership.held, sought) == (True, [(PARTITION, 7)])
