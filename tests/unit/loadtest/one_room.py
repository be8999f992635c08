"""One room of three members, and what is said in it by a clock that a test moves."""

from schemas.client_events import ChatMessage

UPS = ("up000000001", "up000000002", "up000000003")
HEAD = 100


def message(
    seq: int, *, text: str = "olá", room: str = "leic", up: str = UPS[0], sent_at: int = 1
) -> ChatMessage:
    return ChatMessage(id=f"m{seq}", seq=seq, room=room, up=up, message=text, timestamp=2, sent_at=sent_at)
