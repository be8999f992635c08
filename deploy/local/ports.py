"""Free TCP ports for services of this machine. This process holds them as long as it lives."""

import random
import socket
from collections.abc import Sequence

# Below the kernel's range for outgoing connections (32768 and up). A client that keeps trying to
# reach a stopped service there would sooner or later get the same port as its source and
# connect to itself; the service could then not start again.
LOWEST, HIGHEST = 20_000, 32_000
ATTEMPTS = 200
HOST = "127.0.0.1"
"""The address on which everything started on this machine listens."""

_held: list[socket.socket] = []


def free_ports(count: int) -> list[int]:
    """Return `count` different ports on which nobody listens now. Raises OSError when none is.

    As long as this process lives nobody else is given them, also while their services are down.
    """
    found: list[int] = []
    for port in random.sample(range(LOWEST, HIGHEST), ATTEMPTS):
        if len(found) == count:
            break
        if _hold(port):
            found.append(port)
    if len(found) < count:
        raise OSError(f"no {count} free ports between {LOWEST} and {HIGHEST} on {HOST}")
    return found


def prefer_ports(wanted: Sequence[int]) -> list[int]:
    """Return the wanted ports, each replaced by a free one where somebody listens there, or holds it."""
    return [port if _hold(port) else free_ports(1)[0] for port in wanted]


def _hold(port: int) -> bool:
    """Hold a port on which nobody listens. False where somebody does, or another process holds it.

    What holds it is a UDP socket: none of our services listens there, and no closed connection lingers there.
    """
    holder = socket.socket(type=socket.SOCK_DGRAM)
    try:
        holder.bind((HOST, port))
        with socket.create_server((HOST, port)):
            pass
    except OSError:
        holder.close()
        return False
    _held.append(holder)
    return True
