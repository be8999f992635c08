"""The shapes of ids. Groups and messages are named by text that is safe in keys, paths and logs."""

from typing import Annotated
from uuid import uuid4

from pydantic import StringConstraints

GroupId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""A group's id. It is the key of the group's records, and the name of its room."""

MessageId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
"""A message's id: the client's own key for a safe retry, or one that we make."""

EdgeId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
"""An edge's name, the same across its restarts."""

ProcessId = Annotated[str, StringConstraints(max_length=64)]
"""One process of an edge. A restarted edge has another one."""


def may_be_one(process: ProcessId | None, other: ProcessId | None) -> bool:
    """Return whether two names may be of the same process of an edge. None: not known."""
    return None in (process, other) or process == other


def new_id() -> str:
    """Return an id that nobody else has: 32 hexadecimal digits."""
    return uuid4().hex


def membership_key(group: str, up: str) -> str:
    """Return the key of a membership's records. Neither part can hold a slash."""
    return f"{group}/{up}"
