"""Correct histories, drawn at random: a model of the system in which nothing goes wrong but connections."""

from dataclasses import dataclass, field
from random import Random

from hypothesis import strategies as st

from schemas.client_events import ChatMessage
from tests.faults.history import Acked, Connection, History, Joined, Left, Membership, Received, Said, Sight

EDGES = ("edge-1", "edge-2")


@dataclass
class _Member:
    """One client of one group: connected or away, and what it has seen."""

    sight: Sight
    here: bool = False
    number: int = 0
    cursor: int | None = None
    connection: Connection = field(default_factory=lambda: Connection(0, ""))

    def connect(self, log: list[ChatMessage], head: int, at_s: float, rng: Random) -> None:
        """Join, or resume: with all that was missed, or with a hole."""
        self.here, self.number = True, self.number + 1
        self.connection = Connection(self.number, rng.choice(EDGES))
        recovered = self.cursor is None or rng.random() < 0.8
        self.sight.steps.append(Joined(head, recovered, self.connection, at_s))
        if self.cursor is not None and recovered:
            for message in log:
                if message.seq > self.cursor:
                    self.receive(message, at_s)
        self.cursor = head

    def receive(self, message: ChatMessage, at_s: float) -> None:
        self.sight.steps.append(Received(message, self.connection, at_s))
        self.cursor = message.seq

    def leave(self, at_s: float) -> None:
        self.here, self.cursor = False, None
        self.sight.steps.append(Left(at_s))


class _Group:
    """A group's members and its log."""

    def __init__(self, name: str, ups: list[str], history: History) -> None:
        self.name = name
        self.members = [_Member(Sight(up, up, name)) for up in ups]
        self.log: list[ChatMessage] = []
        self._history = history
        self._since: dict[str, float] = dict.fromkeys(ups, 0.0)
        history.sights += [member.sight for member in self.members]

    def move(self, head: int, at_s: float, rng: Random) -> None:
        """Some connect, some lose their connection, and now and then one is removed or comes back."""
        for member in self.members:
            up = member.sight.up
            if up not in self._since:
                if rng.random() < 0.3:
                    self._since[up] = at_s
                    member.connect(self.log, head, at_s, rng)
            elif not member.here:
                if rng.random() < 0.6:
                    member.connect(self.log, head, at_s, rng)
            elif rng.random() < 0.15:
                member.here = False
            elif rng.random() < 0.05:
                self._end_stay(member, at_s)

    def say(self, seq: int, at_s: float, rng: Random) -> None:
        """One message, to everybody who is here; its ack may come twice, or be lost."""
        sender = rng.choice(self.members)
        text = rng.choice(["hi", "olá", "", "x" * 100])
        said = Said(sender.sight.up, self.name, f"m-{self.name}-{seq}", text, int(at_s * 1000))
        message = ChatMessage(
            id=said.id, seq=seq, room=said.group, up=said.up, message=text, timestamp=seq + 7,
            sent_at=said.sent_at,
        )  # fmt: skip
        self.log.append(message)
        self._history.said.append(said)
        for _ in range(rng.choice([0, 1, 1, 1, 2])):
            ack = Acked(said.id, seq, message.timestamp, sender.connection, at_s)
            self._history.acks.append(ack)
        for member in self.members:
            if member.here:
                member.receive(message, at_s)

    def end(self, head: int, at_s: float, rng: Random) -> None:
        """Everybody who is a member comes back and sees the rest."""
        for member in self.members:
            up = member.sight.up
            if up in self._since:
                if not member.here:
                    member.connect(self.log, head, at_s, rng)
                self._history.memberships.append(Membership(self.name, up, self._since[up]))
        self._history.stored += rng.sample(self.log, len(self.log))

    def _end_stay(self, member: _Member, at_s: float) -> None:
        up = member.sight.up
        member.leave(at_s)
        self._history.memberships.append(Membership(self.name, up, self._since.pop(up), at_s))


def make_history(rng: Random, *, groups: int = 2, members: int = 4, messages: int = 12) -> History:
    """Return a history in which every promise is kept. Groups share a partition: their seqs have gaps."""
    history = History()
    all_groups = [
        _Group(f"g{n}", [f"up{n:04}{m:05}" for m in range(rng.randint(2, members))], history)
        for n in range(groups)
    ]
    seq = rng.randint(0, 50)
    for step in range(messages):
        at_s = float(step)
        for group in all_groups:
            group.move(seq, at_s, rng)
        seq += rng.randint(1, 3)
        rng.choice(all_groups).say(seq, at_s, rng)
    for group in all_groups:
        group.end(seq, float(messages), rng)
    return history


correct_histories = st.builds(
    make_history,
    st.randoms(use_true_random=False),
    groups=st.integers(1, 3),
    members=st.integers(2, 5),
    messages=st.integers(0, 25),
)
