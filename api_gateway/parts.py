"""Builds the parts of a gateway, and starts those that run beside its ports."""

from functools import partial
from typing import TYPE_CHECKING

from api_gateway.fallen_behind import FallenBehind
from api_gateway.group_directory import GroupDirectory
from api_gateway.groups import Groups
from api_gateway.history import History
from api_gateway.internal_routes import InternalApi
from api_gateway.location import Locations
from api_gateway.log_writer import LogWriter
from api_gateway.members import FormerMembers, MembersOnly, NewMembers
from api_gateway.posting import Posting
from api_gateway.public_routes import PublicApi
from api_gateway.reading_turns import ReadsOfUsers
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from api_gateway.stored_progress import StoredProgress
from api_gateway.topic_configs import watch_topic_configs
from api_gateway.users import Users
from runtime.assignments import Assignments
from runtime.kafka import KeptProducer
from runtime.kafka_topics import ensure_topics
from runtime.log_reader import LogReader
from runtime.memberships import Memberships
from runtime.mongo import Store
from runtime.service import Service
from schemas import topics

if TYPE_CHECKING:
    from runtime.spans import Spans


class Parts:
    """All parts of a gateway, without its ports. ``public`` and ``internal`` answer the two APIs."""

    def __init__(self, settings: GatewaySettings, store: Store, spans: "Spans | None") -> None:
        self._settings = settings
        assignments, directory, memberships = Assignments(), GroupDirectory(), Memberships()
        table_reader = LogReader(settings, topics.ASSIGNMENTS, assignments.take)
        group_reader = LogReader(settings, topics.GROUPS, directory.take)
        member_reader = LogReader(settings, topics.MEMBERSHIPS, memberships.take)
        positions = {reader.topic: reader.positions for reader in (group_reader, member_reader)}
        self._producer = producer = KeptProducer(settings)
        writer = LogWriter(settings, producer, spans)
        reads = StoreReads(store, settings, spans)
        self._progress = progress = StoredProgress(reads, settings)
        self._behind = behind = FallenBehind(progress, positions)

        def not_ready() -> str | None:
            return group_reader.ready_fault() or member_reader.ready_fault() or behind.fault()

        members = MembersOnly(memberships, not_ready, settings.max_groups_per_user)
        new_members = NewMembers(
            per_s=settings.new_members_per_s_per_user, burst=settings.new_members_burst_per_user
        )
        reads_of_users = ReadsOfUsers(settings.max_reads_per_user)
        groups = Groups(
            members,
            FormerMembers(reads, reads_of_users),
            directory,
            writer,
            progress,
            positions,
            group_reader.read_to_end,
            new_members,
        )
        history = History(reads, progress, settings)
        users = Users(reads, writer, progress, assignments)
        self.public = PublicApi(Locations(assignments), history, groups, members, users, reads_of_users)
        self.internal = InternalApi(history, groups, Posting(members, writer, progress, history), users)
        self._readers = (table_reader, group_reader, member_reader)

    async def start(self, service: Service) -> None:
        """Start what runs beside the ports, the log's readers last: they need its topics."""
        service.health.ready("members", self._behind.fault)
        service.supervise("progress", self._progress.run)
        service.supervise("compare with the store", self._behind.run)
        await ensure_topics(self._settings, topics.ALL)
        if self._settings.kafka_durable:
            service.supervise("look at topics", partial(watch_topic_configs, self._settings))
        service.supervise("producer", self._producer.run)
        for reader in self._readers:
            reader.follow(service)
        service.resources.push_async_callback(self._finish_requests, service)

    async def _finish_requests(self, service: Service) -> None:
        """Answer the requests under way while what they need still runs. No write then waits for MongoDB."""
        self._progress.stop_waiting()
        await service.stop_serving()
