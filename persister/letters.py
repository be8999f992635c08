"""``python -m persister.letters``: the operators' command that lists dead letters and sends them again.

A letter is named by where its record was. Sent again, the record goes to the end of its topic and gets a new
``seq``; if it still can't be stored, it becomes another letter. Give it a persister's ``KAFKA_*`` settings.
"""

import asyncio
import sys
from argparse import ArgumentParser, Namespace
from base64 import b64decode
from collections.abc import AsyncIterator, Collection, Iterator, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaError, MessageSizeTooLargeError

from persister.dead_letters import CUT
from persister.read_records import TOPICS
from runtime import kafka
from runtime.kafka_topics import ensure_topics
from runtime.read_settings import load
from runtime.service import Fatal
from runtime.settings import KafkaSettings, ServiceSettings
from schemas import topics
from schemas.log_records import BadRecord, DeadLetter, Encoded

POLL_MS: Final = 500


class Settings(ServiceSettings, KafkaSettings):
    """The command's settings: where Kafka is."""


class Letter(NamedTuple):
    """A dead letter, its name, and the ``ce_source`` of its record."""

    name: str
    letter: DeadLetter
    source: str


async def read_letters(settings: KafkaSettings, whole: Collection[str]) -> list[Letter]:
    """Return all letters, oldest first, each record once. Raises `KafkaError`.

    Only the letters named in ``whole`` keep their record: all records may not fit in memory.
    """
    found: list[tuple[int, Letter]] = []
    async with kafka.started_consumer(
        settings, topics.DEAD_LETTERS, auto_offset_reset="earliest"
    ) as consumer:
        async for records in _read_all(consumer):
            found += _parsed(records, whole)
    letters: dict[str, Letter] = {}
    for _, letter in sorted(found, key=itemgetter(0)):
        letters.setdefault(letter.name, letter)
    return list(letters.values())


async def _read_all(consumer: AIOKafkaConsumer) -> AsyncIterator[Sequence[ConsumerRecord]]:
    every = consumer.assignment()
    ends = await consumer.end_offsets(every)
    while any([await consumer.position(tp) < ends[tp] for tp in every]):
        for records in (await consumer.getmany(timeout_ms=POLL_MS)).values():
            yield records


def _parsed(records: Sequence[ConsumerRecord], whole: Collection[str]) -> Iterator[tuple[int, Letter]]:
    """Yield timestamps and letters; print what is no letter."""
    for record in records:
        try:
            letter = DeadLetter.read(record.headers, record.value)
        except BadRecord as error:
            sys.stderr.write(
                f"{record.topic}/{record.partition}/{record.offset} is no dead letter: {error}\n"
            )
        else:
            name = f"{letter.topic}/{letter.partition}/{letter.offset}"
            source = next((value for header, value in letter.headers if header == "ce_source"), "")
            if name not in whole:
                letter = letter.model_copy(update={"value_base64": None, "headers": []})
            yield record.timestamp, Letter(name, letter, source)


def original(letter: DeadLetter) -> Encoded:
    """Return the record that a letter holds. Raises ValueError with the reason if it can't be sent again."""
    if topics.of_any_generation(letter.topic) not in TOPICS:
        raise ValueError(f"no service reads {letter.topic}")
    if letter.key_base64 is None:
        raise ValueError("it has no key, so it belongs nowhere")
    if CUT in letter.reason:
        raise ValueError("only a part of it was kept")
    value = None if letter.value_base64 is None else b64decode(letter.value_base64)
    headers = [(name, content.encode()) for name, content in letter.headers]
    return Encoded(b64decode(letter.key_base64), value, headers)


async def resend(settings: KafkaSettings, letters: Sequence[Letter]) -> int:
    """Send letters again and print the result of each. Return how many failed. Raises `KafkaError`."""
    failed = 0
    async with kafka.started_producer(settings) as producer:
        for entry in letters:
            try:
                place = await _send(producer, settings, entry.letter)
            except ValueError as error:
                failed += 1
                sys.stdout.write(f"{entry.name} can't be sent again: {error}\n")
            else:
                sys.stdout.write(f"{entry.name} was sent again as {place}\n")
    return failed


async def _send(producer: AIOKafkaProducer, settings: KafkaSettings, letter: DeadLetter) -> str:
    """Send the record that a letter holds; return where it stands now. Raises ValueError and `KafkaError`."""
    record = original(letter)
    topic = settings.topic(topics.of_any_generation(letter.topic))
    try:
        written = await (await kafka.write(producer, topic, record, settings.kafka_partitions))
    except MessageSizeTooLargeError as error:
        raise ValueError(
            f"{topic} takes no record of that size; one that was sealed, as it has grown, takes none at all: "
            "does KAFKA_GENERATION name the one that is in use?"
        ) from error
    return f"{topic}/{written.partition}/{written.offset}"


def _print_list(letters: Sequence[Letter]) -> None:
    for entry in letters:
        key = b64decode(entry.letter.key_base64 or "").decode(errors="backslashreplace")[:100]
        sys.stdout.write(f"{entry.name}  key {key!r}  from {entry.source[:100]!r}  {entry.letter.reason}\n")
    sys.stdout.write(f"{len(letters)} dead letters\n")


def _arguments() -> Namespace:
    parser = ArgumentParser(prog="python -m persister.letters", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser(
        "list", help="show every letter: its name, its key, its writer, and why it was set aside"
    )
    again = commands.add_parser("resend", help="send letters again, once what was wrong is mended")
    again.add_argument("names", nargs="+", metavar="topic/partition/offset", help="as `list` names them")
    return parser.parse_args()


async def _main(arguments: Namespace, settings: Settings) -> int:
    try:
        return await _run(arguments, settings)
    except Fatal as error:
        sys.stderr.write(f"{error}\n")
        return 1
    except (KafkaError, OSError) as error:
        sys.stderr.write(f"Kafka does not answer as it should: {error!r}\n")
        return 1


async def _run(arguments: Namespace, settings: Settings) -> int:
    letters = await read_letters(settings, getattr(arguments, "names", ()))
    if arguments.command == "list":
        _print_list(letters)
        return 0
    # With another number of partitions a record would go to a partition without the others of its key.
    await ensure_topics(settings, [*TOPICS, topics.DEAD_LETTERS])
    by_name = {entry.name: entry for entry in letters}
    unknown = [name for name in arguments.names if name not in by_name]
    for name in unknown:
        sys.stdout.write(f"{name} is no dead letter\n")
    chosen = [by_name[name] for name in arguments.names if name in by_name]
    return min(1, len(unknown) + await resend(settings, chosen))


if __name__ == "__main__":
    sys.exit(asyncio.run(_main(_arguments(), load(Settings, "persister.letters", []))))
