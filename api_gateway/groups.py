"""Creating, joining and leaving groups, and showing them: members only.

Every change goes through the log. It is folded here as soon as it is durable, so that the next read sees it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping
from itertools import islice
from typing import Final

from aiokafka.errors import KafkaError

from api_gateway.group_directory import GroupDirectory
from api_gateway.log_writer import SOURCE, LogWriter, WrittenRecord
from api_gateway.members import FormerMembers, MembersOnly, NewMembers
from api_gateway.stored_progress import StoredProgress
from schemas import topics
from schemas.api import CreateGroup, Group, GroupAccepted, GroupWithMembers, MemberAccepted
from schemas.ids import membership_key, new_id
from schemas.log_records import GroupCreated, MemberJoined, encode, tombstone
from schemas.refusals import INVALID_PAYLOAD, NOT_ALLOWED, NOT_FOUND, UNAVAILABLE, Refused

RESERVED_IDS: Final = frozenset({"group", "location", "message", "messages", "user"})
"""Words that stand where a group's id stands in a path."""

JOINED_AT_ONCE: Final = 500
"""Memberships of one write: with all 5 000 of a request nobody else was served for 150 ms of CPU time."""

READ_TO_END_WITHIN_S: Final = 5.0

ReadToEnd = Callable[[str], Awaitable[None]]
"""Takes a group's id, and returns once all that the log holds of groups in its partition is folded."""

Positions = Mapping[str, Mapping[int, int]]
"""The next offset to be read back, by topic and partition."""


class Groups:
    """Creates, changes and shows groups."""

    def __init__(
        self,
        members: MembersOnly,
        former_members: FormerMembers,
        directory: GroupDirectory,
        writer: LogWriter,
        progress: StoredProgress,
        positions: Positions,
        read_to_end: ReadToEnd,
        new_members: NewMembers,
    ) -> None:
        self._members = members
        self._former_members = former_members
        self._directory = directory
        self._writer = writer
        self._progress = progress
        self._positions = positions
        self._read_to_end = read_to_end
        self._new_members = new_members
        self._being_created: dict[str, list[str | None]] = {}
        """Who is writing a group now, once for each try (it may take seconds). None: the solution."""

    def of_user(self, up: str) -> list[Group]:
        """Return a user's groups."""
        return [self._summary(group) for group in self._members.groups_of(up)]

    def all(self, *, skip: int, limit: int) -> list[Group]:
        """Return a slice of all groups."""
        self._members.require_ready()
        return [self._summary(group) for group in self._directory.ids()[skip : skip + limit]]

    def require(self, group: str) -> None:
        """Raise `Refused` (not found, unavailable) unless the group exists."""
        self._members.require_ready()
        if self._directory.find(group) is None and not self._members.members_of(group):
            raise Refused(NOT_FOUND)

    def get(self, group: str) -> GroupWithMembers:
        """Return a group with its members. Raises `Refused` as `require` does."""
        self.require(group)
        users = self._members.members_of(group)
        # Not validated again: what the log's follower has taken is valid, and there may be thousands.
        return GroupWithMembers.model_construct(id=group, name=self._directory.name_of(group), users=users)

    def get_for_member(self, caller: str, group: str) -> GroupWithMembers:
        """Return a group for one of its members."""
        self._members.require(group, caller)
        return self.get(group)

    async def create_for(self, caller: str, new: CreateGroup) -> GroupAccepted:
        """Create a group for a student, who becomes its first member and may remove others.

        The same id from the same student repeats an attempt. Raises `Refused` if the id is anybody else's
        group, or one that the student has left, or if a member is in too many groups.
        """
        self._members.require_ready()
        group = new.id or new_id()
        self._require_free(group, caller)
        users = dict.fromkeys([caller, *new.users])
        self._members.require_few_groups(group, users)
        self._new_members.spend(caller, len(users))
        if new.id is not None:
            await self._know_its_past(group, caller)
            self._require_free(group, caller)
        return await self._create(group, new.name, users, created_by=caller)

    async def create(self, new: CreateGroup) -> GroupAccepted:
        """Create a group without a creator for the solution, or rename one of these and add members.

        Raises `Refused` if a student has created the group: they would read what the new members write.
        """
        self._members.require_ready()
        group = new.id or new_id()
        existing = self._directory.find(group)
        creators = [*self._being_created.get(group, ()), existing and existing.created_by]
        if any(creators):
            raise Refused(NOT_ALLOWED, "A student has made a group with this id.")
        return await self._create(group, new.name, dict.fromkeys(new.users), created_by=None)

    async def add(self, caller: str, group: str, up: str) -> MemberAccepted:
        """Add a user to a group of the caller's. Raises `Refused` if the user is in too many groups."""
        self._members.require(group, caller)
        self._members.require_few_groups(group, [up])
        self._new_members.spend(caller, 1)
        written = await self._join(group, [up])
        stored = await self._progress.wait(written)
        return MemberAccepted(group=group, up=up, member=True, stored=stored)

    async def remove(self, caller: str, group: str, up: str) -> MemberAccepted:
        """Leave a group, or remove somebody from one that the caller has created."""
        self._members.require(group, caller)
        existing = self._directory.find(group)
        if up != caller and (existing is None or existing.created_by != caller):
            raise Refused(NOT_ALLOWED, "Only the creator of the group may remove others.")
        if not self._members.is_member(group, up):
            # The store keeps a tombstone also for a membership that never existed.
            self._new_members.spend(caller, 1)
        return await self._leave(group, up)

    async def remove_for_solution(self, group: str, up: str) -> MemberAccepted:
        """Remove somebody from any group, also a student's. Raises `Refused` as `require` does."""
        self.require(group)
        return await self._leave(group, up)

    def _is_unread(self, topic: str, written: WrittenRecord) -> bool:
        """Return whether a write of ours has not been read back yet: only then may it be folded here.

        After that, later records may have been folded, too, and they decide. A write whose offset is not
        known (-1) is left to the reader.
        """
        return self._positions[topic].get(written.partition, 0) <= written.offset

    def _summary(self, group: str) -> Group:
        return Group(id=group, name=self._directory.name_of(group))

    async def _know_its_past(self, group: str, caller: str) -> None:
        """Fold all groups that were acked before now, by any gateway, if this one has not read of ``group``.

        A member learns a group's id from an edge, and this gateway may read the log later than edges: without
        this, the member could become the creator here. Raises `Refused`: if the log does not answer, or if it
        is the caller's own group, which they have left. They would read what the others said without them.
        """
        if self._directory.find(group) is None:
            try:
                async with asyncio.timeout(READ_TO_END_WITHIN_S):
                    await self._read_to_end(group)
            except (KafkaError, OSError, TimeoutError) as error:
                raise Refused(UNAVAILABLE) from error
        if self._directory.find(group) is not None and not self._members.is_member(group, caller):
            await self._former_members.require_not(group, caller)

    def _require_free(self, group: str, caller: str) -> None:
        existing, members = self._directory.find(group), self._members.members_of(group)
        is_own = existing is not None and existing.created_by == caller
        nobody_else_creates_it = all(one == caller for one in self._being_created.get(group, ()))
        if (
            not nobody_else_creates_it
            or (existing is not None and not is_own)
            or (members and not (is_own and caller in members))
        ):
            raise Refused(NOT_ALLOWED, "There is a group with this id already.")

    async def _create(
        self, group: str, name: str, users: Collection[str], *, created_by: str | None
    ) -> GroupAccepted:
        if group in RESERVED_IDS:
            raise Refused(INVALID_PAYLOAD, "id: This id is reserved")
        creators = self._being_created.setdefault(group, [])
        creators.append(created_by)
        try:
            created = GroupCreated(group=group, name=name, created_by=created_by)
            written = await self._writer.write(topics.GROUPS, encode(created, key=group, source=SOURCE))
            if self._is_unread(topics.GROUPS, written[0]):
                self._directory.put(created)
            if created_by is not None:
                # Members are in several partitions, and any may lack a leader. A group with members but
                # without its creator would be refused when the creator tries again.
                written += await self._join(group, [created_by])
            written += await self._join(group, [up for up in users if up != created_by])
            stored = await self._progress.wait(written)
        finally:
            creators.remove(created_by)
            if not creators:
                del self._being_created[group]
        # From here on nothing is refused: the group is in the log, and a retry without an id makes another.
        users = self._members.members_of(group)
        return GroupAccepted.model_construct(id=group, name=name, users=users, stored=stored)

    async def _join(self, group: str, users: Iterable[str]) -> list[WrittenRecord]:
        """Write and fold memberships, `JOINED_AT_ONCE` at a time: others are served in between."""
        written, rest = list[WrittenRecord](), iter(users)
        while batch := list(islice(rest, JOINED_AT_ONCE)):
            records = [
                encode(MemberJoined(group=group, up=up), key=membership_key(group, up), source=SOURCE)
                for up in batch
            ]
            new = await self._writer.write(topics.MEMBERSHIPS, *records)
            for up, record in zip(batch, new, strict=True):
                if self._is_unread(topics.MEMBERSHIPS, record):
                    self._members.fold(group, up, member=True)
            written += new
        return written

    async def _leave(self, group: str, up: str) -> MemberAccepted:
        record = tombstone(key=membership_key(group, up), source=SOURCE, kind=MemberJoined)
        written = await self._writer.write(topics.MEMBERSHIPS, record)
        if self._is_unread(topics.MEMBERSHIPS, written[0]):
            self._members.fold(group, up, member=False)
        stored = await self._progress.wait(written)
        return MemberAccepted(group=group, up=up, member=False, stored=stored)
