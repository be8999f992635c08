"""Starts a gateway and opens its ports.

Both APIs listen before Kafka and MongoDB answer: until then they refuse what they cannot do yet.
"""

import logging
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple

from api_gateway import openapi, pages
from api_gateway.access import Identify, KnownTokens, RateLimiter, identify_solution
from api_gateway.answers import Api, Cors
from api_gateway.bodies import Bodies
from api_gateway.parts import Parts
from api_gateway.routing import Route, add_routes
from api_gateway.settings import GatewaySettings
from api_gateway.traced_requests import traced
from api_gateway.unread_answers import UnreadAnswers
from runtime import logs, tracing
from runtime.mongo import open_store
from runtime.service import Service
from runtime.tokens import TokenVerifier
from schemas import asyncapi

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

    parts = Parts(settings, store, spans)
    ports = Ports(
        await _serve_public(service, settings, parts.public.routes(), tokens, spans),
        await _serve_internal(service, settings, parts.internal.routes(), spans),
    )
    await parts.start(service)
    return ports


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
    port = await service.serve(api.application, host, port, finish_within_s=settings.finish_within_s)
    log.info("the public API listens", extra=logs.facts(host=host, port=port))
    return port


async def _serve_internal(
    service: Service, settings: GatewaySettings, routes: Sequence[Route[Any]], spans: "Spans | None"
) -> int | None:
    if settings.service_token is None:
        log.warning("SERVICE_TOKEN is not set: the internal API is off")
        return None
    identify = partial(identify_solution, settings.service_token.get_secret_value())
    api = _api(settings, routes, identify, spans, callers_are_trusted=True)
    pages.add_docs(api, openapi.document("Uni4all Chat, internal", INTERNAL_ABOUT, routes))
    pages.add_asyncapi(api, asyncapi.for_the_solution(settings.kafka_generation))
    host, port = settings.internal_host, settings.internal_port
    port = await service.serve(api.application, host, port, finish_within_s=settings.finish_within_s)
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
