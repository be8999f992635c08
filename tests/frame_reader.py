"""Cuts what a server sends into frames, for tests and benchmarks that want no more of a client."""

from loadtest.websocket import frame_at


class FrameReader:
    """Cuts a server's bytes into frames, however they were cut on their way."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[tuple[int, bytes]]:
        """Return the frames that are whole now: first byte and payload. Raises `ProtocolError`."""
        data, at = self._rest + data, 0
        frames: list[tuple[int, bytes]] = []
        while (frame := frame_at(data, at)) is not None:
            first, payload, at = frame
            frames.append((first, payload))
        self._rest = data[at:]
        return frames
