"""The group's rule for its one partition: who leads goes on leading, whoever joins or leaves.

The library's own rules go by member ids, which are random: every dispatcher that joins could take over.
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
    """Each member says in which epoch it leads, if it does. The highest epoch keeps the partition."""

    name = "keep-leader"

    def __init__(self) -> None:
        self.leads_in_epoch: int | None = None

    def metadata(self, names: Iterable[str]) -> Any:
        """Return what this member tells the group when it joins."""
        said = "" if self.leads_in_epoch is None else str(self.leads_in_epoch)
        return ConsumerProtocolMemberMetadata(VERSION, list(names), said.encode())

    def assign(self, _cluster: Any, members: Mapping[str, Any]) -> dict[str, Any]:
        """Return who gets what: the partition for one, nothing for the others."""
        leader = leader_among({member: said.user_data for member, said in members.items()})
        return {
            member: ConsumerProtocolMemberAssignment(
                VERSION, [(topics.EDGE_STATUS, [0])] if member == leader else [], b""
            )
            for member in members
        }

    def on_assignment(self, assignment: Any) -> None:
        """Nothing is kept from here: the leader itself knows its epoch."""


def leader_among(said: Mapping[str, bytes]) -> str:
    """Return the member that leads in the highest epoch; where none does, the first by id."""
    return min(said, key=lambda member: (-_epoch(said[member]), member))


def _epoch(said: bytes) -> int:
    return int(said) if said.isdigit() else -1
