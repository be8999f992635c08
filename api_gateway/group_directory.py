"""Names and creators of groups, folded from ``chat.groups``. Who is in a group is not known here."""

from collections.abc import Sequence

from aiokafka import ConsumerRecord

from runtime.log_folds import readable
from schemas.log_records import GroupCreated


class GroupDirectory:
    """The groups of the university, as far as the log has been read."""

    def __init__(self) -> None:
        self._groups: dict[str, GroupCreated] = {}

    def take(self, _partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Fold records of ``chat.groups``. A tombstone ends a group."""
        for record, group in readable(records, GroupCreated):
            if group is not None:
                self.put(group)
            else:
                self._groups.pop((record.key or b"").decode(errors="replace"), None)

    def put(self, group: GroupCreated) -> None:
        """Fold one record: a later one replaces the earlier."""
        self._groups[group.group] = group

    def find(self, group: str) -> GroupCreated | None:
        """Return what is known of a group."""
        return self._groups.get(group)

    def name_of(self, group: str) -> str:
        """Return a group's name; its id while nobody has told us one."""
        known = self._groups.get(group)
        return group if known is None else known.name

    def ids(self) -> list[str]:
        """Return all groups' ids, in order."""
        return sorted(self._groups)
