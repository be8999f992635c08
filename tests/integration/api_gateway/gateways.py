"""Gateways within the test's own event loop; every answer is held against the OpenAPI document."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, NamedTuple

import orjson
from aiohttp import ClientSession
from multidict import CIMultiDictProxy

from api_gateway.app import Ports, start
from api_gateway.settings import GatewaySettings
from runtime.service import Service, running
from schemas import api
from schemas.client_events import ChatMessage
from schemas.refusals import TABLE, ErrorAnswer
from tests.integration.backing import token
from tests.waiting import DEADLINE_S, eventually

SERVICE_TOKEN = "a-service-token-for-tests"

ANSWERS = {
    model.__name__: model
    for model in (
        api.GroupAccepted,
        api.GroupList,
        api.GroupPage,
        api.GroupWithMembers,
        api.History,
        api.HistoryBundle,
        api.Location,
        api.MemberAccepted,
        api.MemberPage,
        api.MessageAccepted,
        api.MessageList,
        api.UserAccepted,
        api.UserList,
        ChatMessage,
    )
}


class Answer(NamedTuple):
    """What was answered."""

    status: int
    said: Any
    headers: CIMultiDictProxy[str]

    @property
    def code(self) -> str:
        """The code of the refusal."""
        return str(self.said["error"]["code"])


class Api:
    """One of a gateway's APIs."""

    def __init__(self, url: str, session: ClientSession, document: dict[str, Any]) -> None:
        self.url = url
        self._session = session
        self._document = document

    async def ask(
        self, method: str, path: str, *, bearer: str | None = None, data: Any = None, **headers: str
    ) -> Answer:
        """Ask, and check that the document allows the answer."""
        if bearer is not None:
            headers["Authorization"] = f"Bearer {bearer}"
        body = data if data is None or isinstance(data, bytes) else orjson.dumps(data)
        async with self._session.request(method, self.url + path, data=body, headers=headers) as answered:
            raw = await answered.read()
            answer = Answer(answered.status, orjson.loads(raw), answered.headers)
        self._check(method, path, answer)
        return answer

    def _check(self, method: str, path: str, answer: Answer) -> None:
        assert answer.headers["X-Request-Id"]
        if answer.status >= 400:
            error = ErrorAnswer.model_validate(answer.said, extra="forbid").error
            assert TABLE[error.code].status == answer.status
            assert error.request_id == answer.headers["X-Request-Id"]
        operation = self._operation(method, path.partition("?")[0])
        if operation is None:
            assert answer.status in {404, 405}
            return
        allowed = operation["responses"][str(answer.status)]
        if answer.status >= 400:
            assert f"`{answer.code}`" in allowed["description"]
        else:
            schema = allowed["content"]["application/json"]["schema"]
            ANSWERS[schema["$ref"].rpartition("/")[2]].model_validate(answer.said, extra="forbid")

    def _operation(self, method: str, path: str) -> dict[str, Any] | None:
        for template, operations in self._document["paths"].items():
            wanted, given = template.strip("/").split("/"), path.strip("/").split("/")
            same = len(wanted) == len(given) and all(
                one == other or one.startswith("{") for one, other in zip(wanted, given, strict=True)
            )
            if same and method.lower() in operations:
                return dict(operations[method.lower()])
        return None


class Gateway:
    """A running gateway."""

    def __init__(self, service: Service, public: Api, internal: Api) -> None:
        self.service = service
        self.public = public
        self.internal = internal

    async def as_user(self, up: str, method: str, path: str, data: Any = None) -> Answer:
        """Ask the public API as a student."""
        return await self.public.ask(method, path, bearer=token(up), data=data)

    async def as_solution(self, method: str, path: str, data: Any = None) -> Answer:
        """Ask the internal API."""
        return await self.internal.ask(method, path, bearer=SERVICE_TOKEN, data=data)

    async def answers(self, up: str, path: str, wanted: Callable[[Answer], bool]) -> Answer:
        """Ask as a student until the answer is as wanted; what the gateway follows takes its time."""
        end = asyncio.get_running_loop().time() + DEADLINE_S
        while not wanted(answer := await self.as_user(up, "GET", path)):
            assert asyncio.get_running_loop().time() < end, answer
            await asyncio.sleep(0.02)
        return answer

    async def ready(self) -> None:
        """Wait until it may be given work."""
        await eventually("the gateway is ready", lambda: not self.service.health.faults(readiness=True))


@asynccontextmanager
async def gateway(**changes: Any) -> AsyncIterator[Gateway]:
    """Run a gateway on free ports until the block ends; it is ready.

    A persister that has yet to store what other tests have written stores what is asked for here later.
    """
    given = {"public_port": 0, "internal_port": 0, "service_token": SERVICE_TOKEN, "wait_stored_ms": 60_000}
    settings = GatewaySettings(**{**given, **changes})
    service = Service("api_gateway", settings)
    ports: list[Ports] = []

    async def begin(service: Service) -> None:
        ports.append(await start(service, settings))

    async with running(service, begin), ClientSession() as session:
        assert service.failure is None
        public, internal = [
            Api(url, session, await _document(session, url))
            for url in (f"http://127.0.0.1:{port}" for port in ports[0] if port is not None)
        ]
        opened = Gateway(service, public, internal)
        await opened.ready()
        yield opened
        assert service.failure is None


async def _document(session: ClientSession, url: str) -> dict[str, Any]:
    async with session.get(f"{url}/openapi.json") as answered:
        assert answered.status == 200
        return dict(orjson.loads(await answered.read()))
