"""The group's assignor for its one partition: the leader keeps it, whichever members join or leave.

The library's own assignors go by member ids, which are random: any dispatcher that joins could take over.
"""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

from schemas import topics

VERSION: Final = 0


class KeepLeader(AbstractPartitionAssignor):  # type: ignore[misc]
    """Assigns the partition to the member that leads in the highest epoch; each member reports its own."""

    name = "keep-leader"

    def __init__(self) -> None:
        self.leads_in_epoch: int | None = None

    def metadata(self, names: Iterable[str]) -> Any:
        """Return this member's metadata for the group: its topics, and the epoch in which it leads."""
        user_data = "" if self.leads_in_epoch is None else str(self.leads_in_epoch)
        return ConsumerProtocolMemberMetadata(VERSION, list(names), user_data.encode())

    def assign(self, _cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return each member's assignment: the partition for one, nothing for the others."""
        leader = leader_among({member: metadata.user_data for member, metadata in members.items()})
        return {
            member: ConsumerProtocolMemberAssignment(
                VERSION, [(topics.EDGE_STATUS, [0])] if member == leader else [], b""
            )
            for member in members
        }

    def on_assignment(self, assignment: Any) -> None:
        """Do nothing: the leader itself knows its epoch."""


def leader_among(user_data: Mapping[str, bytes]) -> str:
    """Return the member that leads in the highest epoch; if none leads, the first by id."""
    return min(user_data, key=lambda member: (-_epoch(user_data[member]), member))


def _epoch(user_data: bytes) -> int:
    return int(user_data) if user_data.isdigit() else -1
