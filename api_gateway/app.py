"""Puts the gateway together. Nothing is decided here but the order in which parts start and stop.

Both APIs listen before Kafka and MongoDB answer: until then they refuse what they cannot do yet.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from api_gateway import openapi, pages
from api_gateway.access import Identify, KnownTokens, RateLimiter, ServiceToken
from api_gateway.answers import Api, Cors
from api_gateway.bodies import Bodies
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
from api_gateway.routing import Route, add_routes
from api_gateway.settings import GatewaySettings
from api_gateway.store_reads import StoreReads
from api_gateway.stored_progress import StoredProgress
from api_gateway.topic_configs import watch_topic_configs
from api_gateway.traced_requests import traced
from api_gateway.unread_answers import UnreadAnswers
from api_gateway.users import Users
from runtime import logs, tracing
from runtime.assignments import Assignments
from runtime.kafka import KeptProducer
from runtime.kafka_topics import ensure_topics
from runtime.log_reader import LogReader
from runtime.memberships import Memberships
from runtime.mongo import open_store
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import asyncapi, topics

if TYPE_CHECKING:
    from runtime.spans import Spans

log = logging.getLogger(__name__)

PUBLIC_ABOUT = "Where to connect, what was said, and who is in a group. Live chat goes over Socket.IO."
INTERNAL_ABOUT = "For the solution's own services. A GET takes its arguments as a JSON body, too."
STUDENTS_SHARE = 0.25
"""Share of the unread answers that one student may have. All callers without a token count as one."""


class Ports(NamedTuple):
    """Where the two APIs listen; no internal one where it is off."""

    public: int
    internal: int | None


async def start(service: Service, settings: GatewaySettings) -> Ports:
    """Start the gateway. Returns its ports, which matters where 0 was asked for."""
    await service.open_ops()
    tokens = TokenVerifier(settings)
    await tokens.start(service)
    store = await service.resources.enter_async_context(open_store(settings))
    spans = tracing.start(service, settings)

    assignments, directory, memberships = Assignments(), GroupDirectory(), Memberships()
    table_reader = LogReader(settings, topics.ASSIGNMENTS, assignments.take)
    group_reader = LogReader(settings, topics.GROUPS, directory.take)
    member_reader = LogReader(settings, topics.MEMBERSHIPS, memberships.take)
    positions = {reader.topic: reader.positions for reader in (group_reader, member_reader)}
    producer = KeptProducer(settings)
    writer = LogWriter(settings, producer, spans)
    reads = StoreReads(store, settings, spans)
    progress = StoredProgress(reads, settings)
    behind = FallenBehind(progress, positions)

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
    public = PublicApi(Locations(assignments), history, groups, members, users, reads_of_users)
    internal = InternalApi(history, groups, Posting(members, writer, progress, history), users)
    ports = Ports(
        await _serve_public(service, settings, public.routes(), tokens, spans),
        await _serve_internal(service, settings, internal.routes(), spans),
    )

    service.health.ready("members", behind.fault)
    service.supervise("progress", progress.run)
    service.supervise("compare with the store", behind.run)
    await ensure_topics(settings, topics.ALL)
    if settings.kafka_durable:
        service.supervise("look at topics", partial(watch_topic_configs, settings))
    service.supervise("producer", producer.run)
    for reader in (table_reader, group_reader, member_reader):
        reader.follow(service)
    service.resources.push_async_callback(_finish_requests, service, progress)
    return ports


async def _finish_requests(service: Service, progress: StoredProgress) -> None:
    """Answer the requests under way while what they need still runs; no write waits for MongoDB any more."""
    progress.stop_waiting()
    await service.stop_serving()


async def _serve_public(
    service: Service,
    settings: GatewaySettings,
    routes: Sequence[Route[Any]],
    tokens: TokenVerifier,
    spans: "Spans | None",
) -> int:
    known_tokens = KnownTokens(tokens, size=settings.known_tokens, trust_s=settings.known_token_s)
    rate_limiter = RateLimiter(
        known_tokens.identify, per_s=settings.requests_per_s_per_user, burst=settings.requests_burst_per_user
    )
    api = _api(settings, routes, rate_limiter.identify, spans, callers_are_trusted=False)
    everywhere = (*openapi.EVERYWHERE, *openapi.OF_STUDENTS)
    pages.add_docs(api, openapi.document("Uni4all Chat", PUBLIC_ABOUT, routes, everywhere))
    pages.add_asyncapi(api, asyncapi.for_clients())
    pages.add_web_client(api)
    host, port = settings.gateway_host, settings.public_port
    port = await service.serve(api.application(), host, port, finish_within_s=settings.finish_within_s)
    log.info("the public API listens", extra=logs.facts(host=host, port=port))
    return port


async def _serve_internal(
    service: Service, settings: GatewaySettings, routes: Sequence[Route[Any]], spans: "Spans | None"
) -> int | None:
    if settings.service_token is None:
        log.warning("SERVICE_TOKEN is not set: the internal API is off")
        return None
    token = ServiceToken(settings.service_token.get_secret_value())
    api = _api(settings, routes, token.identify, spans, callers_are_trusted=True)
    pages.add_docs(api, openapi.document("Uni4all Chat, internal", INTERNAL_ABOUT, routes))
    pages.add_asyncapi(api, asyncapi.for_the_solution(settings.kafka_generation))
    host, port = settings.internal_host, settings.internal_port
    port = await service.serve(api.application(), host, port, finish_within_s=settings.finish_within_s)
    log.info("the internal API listens", extra=logs.facts(host=host, port=port))
    return port


def _api(
    settings: GatewaySettings,
    routes: Sequence[Route[Any]],
    identify: Identify,
    spans: "Spans | None",
    *,
    callers_are_trusted: bool,
) -> Api:
    unread = UnreadAnswers(
        most_bytes=settings.max_unread_bytes,
        share=1.0 if callers_are_trusted else STUDENTS_SHARE,
        within_s=settings.answer_within_s,
    )
    one_body = settings.max_body_bytes / settings.max_bodies_bytes
    bodies = Bodies(
        most_bytes=settings.max_bodies_bytes,
        share=1.0 if callers_are_trusted else one_body,
        longest_bytes=settings.max_body_bytes,
        within_s=settings.body_within_s,
    )
    name, cors = ("internal", None) if callers_are_trusted else ("public", Cors(settings.origins))
    around = None if spans is None else partial(traced, spans=spans, callers_are_trusted=callers_are_trusted)
    api = Api(name, cors, max_body_bytes=settings.max_body_bytes, unread=unread, around=around)
    add_routes(api, routes, identify, bodies)
    return api
