"""What we mend in aiokafka 0.14, which has no settings for it. Numbers are of its issues (aio-libs/aiokafka).

Importing this changes all clients of the process: `runtime/kafka.py` does, where all clients are made.
"""

import asyncio
from collections.abc import Awaitable
from typing import Any, Final

from aiokafka.client import AIOKafkaClient
from aiokafka.conn import AIOKafkaConnection, CloseReason
from aiokafka.errors import KafkaConnectionError

from runtime.budgets import Budget

METADATA_PER_S: Final = 50.0
METADATA_AT_ONCE: Final = 10.0
"""So often a producer asks who leads a partition. While nobody does it would ask without a pause, a thousand
times a second and more (#1155 is the same of consumers). What goes to other partitions waits for each answer:
pauses must be short."""
LOOK_AGAIN_AFTER_S: Final = 1.0
"""While no broker answers at all, a client looks for one so long after the last try has failed."""

_send: Final = AIOKafkaConnection.send
_update: Final = AIOKafkaClient._metadata_update  # noqa: SLF001 - nothing public asks for metadata


def pace_metadata(client: Any) -> None:
    """Bound how often a producer's ``client`` asks for metadata."""
    update = client._metadata_update  # noqa: SLF001 - nothing public does it
    requests = Budget(METADATA_PER_S, METADATA_AT_ONCE)

    async def paced_update(*args: Any) -> Any:
        left = requests.spend(asyncio.get_running_loop().time())
        await asyncio.sleep(max(0.0, -left / METADATA_PER_S))
        return await update(*args)

    client._metadata_update = paced_update  # noqa: SLF001


def _send_unless_lost(connection: Any, *request: Any, **options: Any) -> Awaitable[Any]:
    """Send a request. Raises `KafkaConnectionError` on a lost connection, before the library knows of it.

    On uvloop the library would raise a `RuntimeError`, which its own tasks do not expect (#1038). They
    would end: a producer's metadata would never be updated again.
    """
    if connection._writer is not None and connection._writer.is_closing():  # noqa: SLF001 - nothing public says it
        connection.close(reason=CloseReason.CONNECTION_BROKEN)
    sent: Awaitable[Any] = _send(connection, *request, **options)
    return sent


async def _update_anyhow(client: Any, *args: Any) -> bool:
    """Ask for metadata. If no known broker answers, look for brokers as at the start (#456, #459).

    The library would ask the known ones for ever: a client would never find brokers that have all moved.
    """
    if await _update(client, *args):
        return True
    try:
        await client.bootstrap()
    except KafkaConnectionError:
        # All of Kafka is away. Without a pause, names would be looked up fifty times a second.
        await asyncio.sleep(LOOK_AGAIN_AFTER_S)
        return False
    return bool(await _update(client, *args))


# A client makes its connections itself, by a function of the library's: there is no narrower place.
AIOKafkaConnection.send = _send_unless_lost
# Consumers and admin clients make their clients themselves, too.
AIOKafkaClient._metadata_update = _update_anyhow  # noqa: SLF001
