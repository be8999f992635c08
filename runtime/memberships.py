"""Who is in which group: a fold over ``chat.memberships``, whose records `LogReader` passes on.

Edges and gateways each keep their own copy, so that the live path needs no request.
"""

from collections import defaultdict
from collections.abc import Callable, Sequence
from sys import intern

from aiokafka import ConsumerRecord

from runtime.log_folds import report_bad_record
from schemas.log_records import BadRecord, MemberJoined

_NOBODY: frozenset[str] = frozenset()

OnChange = Callable[[str, str, bool, int], None]
"""Takes a group, a user, whether they are a member from now on, and since when: the log's time, in ms."""


class Memberships:
    """The members of each group and the groups of each user."""

    def __init__(self) -> None:
        self._members: defaultdict[str, set[str]] = defaultdict(set)
        self._groups: defaultdict[str, set[str]] = defaultdict(set)
        self._listeners: list[OnChange] = []

    def on_change(self, listener: OnChange) -> None:
        """Call ``listener`` after each change from now on."""
        self._listeners.append(listener)

    def is_member(self, group: str, up: str) -> bool:
        """Return whether ``up`` is in ``group`` as far as the log has been read."""
        return group in self._groups.get(up, _NOBODY)

    def groups_of(self, up: str) -> frozenset[str]:
        """Return the groups of a user."""
        return frozenset(self._groups.get(up, _NOBODY))

    def count_of(self, up: str) -> int:
        """Return how many groups a user is in."""
        return len(self._groups.get(up, _NOBODY))

    def members_of(self, group: str) -> frozenset[str]:
        """Return the members of a group."""
        return frozenset(self._members.get(group, _NOBODY))

    def set_member(self, group: str, up: str, member: bool, at: int = 0) -> None:
        """Fold one change, of the log's time ``at``. One that changes nothing calls no listener."""
        if member == self.is_member(group, up):
            return
        if member:
            self._members[group].add(up)
            self._groups[up].add(group)
        else:
            _remove(self._members, group, up)
            _remove(self._groups, up, group)
        for listener in self._listeners:
            listener(group, up, member, at)

    def take(self, _partition: int, records: Sequence[ConsumerRecord]) -> None:
        """Fold records of ``chat.memberships``. Those that can't be read are counted and skipped."""
        for record in records:
            try:
                group, up = _parties(record.key)
                if record.value is not None:
                    _check(MemberJoined.read(record.headers, record.value), group, up)
            except BadRecord as error:
                report_bad_record(record, error)
            else:
                self.set_member(group, up, record.value is not None, record.timestamp)


def _parties(key: bytes | None) -> tuple[str, str]:
    """Return group and user. The texts are interned: they were half of a membership's memory."""
    group, slash, up = (key or b"").decode(errors="replace").partition("/")
    if not slash:
        raise BadRecord("the key does not name a group and a user")
    return intern(group), intern(up)


def _check(record: MemberJoined, group: str, up: str) -> None:
    if (record.group, record.up) != (group, up):
        raise BadRecord("the key names another membership than the value")


def _remove(sets: defaultdict[str, set[str]], key: str, member: str) -> None:
    sets[key].discard(member)
    if not sets[key]:
        del sets[key]
