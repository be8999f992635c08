"""All kinds of records."""

from collections.abc import Iterator

from schemas.assignments import TableAssigned
from schemas.log_records import Record


def kinds(kind: type[Record] = Record) -> Iterator[type[Record]]:
    for sub in kind.__subclasses__():
        yield sub
        yield from kinds(sub)


KINDS: list[type[Record]] = sorted({TableAssigned, *kinds()}, key=lambda kind: kind.__name__)
