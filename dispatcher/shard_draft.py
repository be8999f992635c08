"""A table while one event changes it: spans that are cut, given and joined again. No I/O, and no rule.

It measures in atoms, of which a digit holds a power of two, so that halves of halves are exact where points
(a decimal number of them) would leave remainders.
"""

from collections.abc import Iterable, Iterator
from typing import Final, NamedTuple, Self

from dispatcher.ranking import Ranking
from schemas.assignments import Shard
from schemas.up_number import CIRCLE

DIGIT: Final = 2**20
ATOMS: Final = 10 * DIGIT
"""An atom is 95 points wide: a shard can be halved 20 times, which is enough for ten million edges."""


def point_of_atom(atom: int) -> int:
    """Return the point at which an atom begins."""
    return atom * CIRCLE // ATOMS


def atom_at(point: int) -> int:
    """Return the first atom that begins at ``point`` or later: the inverse of `point_of_atom`."""
    return -(-point * ATOMS // CIRCLE)


class Piece(NamedTuple):
    """Atoms ``[start, end)``."""

    start: int
    end: int

    @property
    def width(self) -> int:
        """How many atoms it holds."""
        return self.end - self.start

    @classmethod
    def between(cls, start: int, end: int) -> Self:
        """Return the atoms between two points."""
        return cls(atom_at(start), atom_at(end))

    def halves(self, step: int) -> tuple[Self, Self]:
        """Cut in the middle, or before it: at a multiple of ``step``, as its ends are."""
        middle = (self.start + self.end) // 2 // step * step
        return self._replace(end=middle), self._replace(start=middle)


class Draft:
    """The spans of a table, and how many atoms each of its holders has."""

    def __init__(self, shards: Iterable[Shard], holders: Iterable[str]) -> None:
        self.held: dict[str, int] = dict.fromkeys(holders, 0)
        self._old = {shard.start: shard for shard in shards}
        self._end: dict[int, int] = {}
        self._start: dict[int, int] = {}
        self._edge: dict[int, str | None] = {}
        self._starts_of: dict[str | None, set[int]] = {}
        self._emptiest: Ranking | None = None
        self._fullest: Ranking | None = None
        for shard in self._old.values():
            edge = shard.edge if shard.edge in self.held else None
            span = Piece.between(shard.start, shard.end)
            # Borders that are not ours are moved to the next atom; a shard between two atoms vanishes.
            if span.width > 0:
                self._put(span, edge)

    def orphans(self) -> list[Piece]:
        """Return the spans that none of the holders has."""
        return self.spans_of(None)

    def within(self, piece: Piece) -> list[tuple[Piece, str | None]]:
        """Return the part of each span within ``piece``, in order, with its holder."""
        return [
            (Piece(max(start, piece.start), min(end, piece.end)), self._edge[start])
            for start, end in sorted(self._end.items())
            if start < piece.end and piece.start < end
        ]

    def spans_of(self, edge: str | None) -> list[Piece]:
        """Return what ``edge`` holds, in order."""
        return [Piece(start, self._end[start]) for start in sorted(self._starts_of.get(edge, ()))]

    def finest(self) -> int:
        """Return the largest power of two that divides every border, in atoms."""
        borders = 0
        for start in self._end:
            borders |= start
        return borders & -borders or ATOMS

    def neighbours(self, piece: Piece) -> Iterator[str]:
        """Yield the holders beside an orphan piece, which is half of a wider part: the other half's first."""
        before, after = self._start.get(piece.start), piece.end
        beside = [None if before is None else self._edge[before], self._edge.get(after)]
        if piece.start // piece.width % 2 == 0:
            beside.reverse()
        return (edge for edge in beside if edge is not None)

    def emptiest(self) -> str:
        """Return the holder with the fewest atoms; of several, the first by name."""
        if self._emptiest is None:
            self._emptiest = Ranking(self.held, self.held.__getitem__)
        return self._emptiest.first()

    def fullest(self, *, beside: str) -> str:
        """Return the holder with the most atoms; of several, one whose spans touch those of ``beside``."""
        if self._fullest is None:
            self._fullest = Ranking(self.held, lambda edge: -self.held[edge])
        first = self._fullest.first()
        touching = {edge for edge, _ in self._touching(beside) if self.held[edge] == self.held[first]}
        return min(touching, default=first)

    def next_to_take(self, donor: str, amount: int, *, beside: str) -> Piece:
        """Return at most ``amount`` atoms of ``donor``, next to ``beside``, or else of its narrowest span."""
        for edge, span in self._touching(beside):
            if edge == donor:
                return _end_of(span, amount, upper=self._edge.get(span.end) == beside)
        span = min(self.spans_of(donor), key=lambda span: span.width)
        upper = _roundness(span.end - amount) >= _roundness(span.start + amount)
        return _end_of(span, amount, upper=upper)

    def give(self, piece: Piece, edge: str) -> None:
        """Let ``edge`` hold a piece that lies within one span."""
        start = piece.start if piece.start in self._end else self._start.get(piece.end)
        start = self._span_around(piece.start) if start is None else start
        span = Piece(start, self._end[start])
        owner = self._remove(span)
        if span.start < piece.start:
            self._put(Piece(span.start, piece.start), owner)
        if piece.end < span.end:
            self._put(Piece(piece.end, span.end), owner)
        self._put(self._joined(piece, edge), edge)

    def shards(self) -> tuple[Shard, ...]:
        """Return the spans in order, as few as possible; those that are as before are the same objects."""
        return tuple(
            self._shard(point_of_atom(start), point_of_atom(self._end[start]), self._edge[start])
            for start in sorted(self._end)
        )

    def _shard(self, start: int, end: int, edge: str | None) -> Shard:
        old = self._old.get(start)
        if old is not None and old.end == end and old.edge == edge:
            return old
        return Shard(start=start, end=end, edge=edge)

    def _touching(self, edge: str) -> Iterator[tuple[str, Piece]]:
        """Yield the spans of others that touch those of ``edge``, in order."""
        for start in sorted(self._starts_of.get(edge, ())):
            for other in (self._start.get(start), self._end[start]):
                if other is not None and (owner := self._edge.get(other)) is not None:
                    yield owner, Piece(other, self._end[other])

    def _joined(self, piece: Piece, edge: str) -> Piece:
        """Take in the spans of ``edge`` on either side."""
        before, after = self._start.get(piece.start), piece.end
        if before is not None and self._edge[before] == edge:
            self._remove(Piece(before, piece.start))
            piece = Piece(before, piece.end)
        if self._edge.get(after) == edge:
            end = self._end[after]
            self._remove(Piece(after, end))
            piece = Piece(piece.start, end)
        return piece

    def _span_around(self, atom: int) -> int:
        return max(start for start in self._end if start <= atom)

    def _put(self, span: Piece, edge: str | None) -> None:
        self._end[span.start] = span.end
        self._start[span.end] = span.start
        self._edge[span.start] = edge
        self._starts_of.setdefault(edge, set()).add(span.start)
        self._count(edge, span.width)

    def _remove(self, span: Piece) -> str | None:
        edge = self._edge.pop(span.start)
        del self._end[span.start], self._start[span.end]
        self._starts_of[edge].discard(span.start)
        self._count(edge, -span.width)
        return edge

    def _count(self, edge: str | None, width: int) -> None:
        if edge is None:
            return
        self.held[edge] += width
        if self._emptiest is not None:
            self._emptiest.changed(edge)
        if self._fullest is not None:
            self._fullest.changed(edge)


def _end_of(span: Piece, amount: int, *, upper: bool) -> Piece:
    if span.width <= amount:
        return span
    if upper:
        return span._replace(start=span.end - amount)
    return span._replace(end=span.start + amount)


def _roundness(atom: int) -> int:
    return atom & -atom
