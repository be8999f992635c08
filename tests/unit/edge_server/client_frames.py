"""Frames as clients send them, masked."""


def frame(opcode: int, payload: bytes, *, fin: bool = True, first_bits: int = 0) -> bytes:
    """Return a client's frame: masked."""
    mask = b"\x01\x02\x03\x04"
    size = len(payload)
    length = bytes([0x80 | size]) if size < 126 else b"\xfe" + size.to_bytes(2, "big")
    masked = bytes(byte ^ mask[n % 4] for n, byte in enumerate(payload))
    return bytes([(0x80 if fin else 0) | first_bits | opcode]) + length + mask + masked


def frames_of(text: str, parts: int, ping: bool) -> bytes:
    """Return a text as one frame or as several, with a ping before or between them."""
    whole = text.encode()
    control = frame(9, b"?") if ping else b""
    if parts == 0:
        return control + frame(1, whole)
    step = len(whole) // (parts + 1) + 1
    pieces = [whole[n : n + step] for n in range(0, len(whole), step)]
    cut = [frame(1 if n == 0 else 0, piece, fin=n == len(pieces) - 1) for n, piece in enumerate(pieces)]
    return cut[0] + control + b"".join(cut[1:]) if len(cut) > 1 else control + cut[0]
