"""The whole system as processes of this machine, for the demo and for tests that disturb it. Blocking.

It starts and stops the system, and has its addresses and secrets; it does not fill it.
"""

import json
import os
import secrets
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from deploy.demo.environment import (
    Places,
    Planned,
    Secrets,
    edge_names,
    plan_edge,
    plan_services,
    preferred_ports,
)
from deploy.demo.service_process import PROBE_TIMEOUT_S, ServiceProcess
from deploy.local.backing import RunningBacking, backing_services
from deploy.local.http_get import http_get
from deploy.local.ports import HOST, free_ports, prefer_ports
from deploy.local.processes import wait_until
from loadtest.open_files import allow_open_files
from loadtest.tokens import DAY_S, TokenSource
from schemas.up_number import CIRCLE, up_at

OPEN_FILES: Final = 20_000
TABLE_DEADLINE_S: Final = 60.0
PROBES_AN_EDGE: Final = 10


class LocalSystem:
    """Backing services, dispatcher, persister, gateway and edges, for the length of a ``with`` block.

    ``env`` adds variables by service (``edge-1``, ``persister``, ...) or module (``edge_server``).
    ``environ`` is where the ways to find backing services are read from. Without ``usual_ports`` it takes
    random ports. No other system here takes the port of a part that is down, or is still to start.
    If a part does not get ready, the others are stopped and the error is raised. No process outlives the
    block, nor this process, however it ends.
    """

    def __init__(
        self,
        *,
        data_dir: Path,
        log_dir: Path,
        edges: int = 2,
        env: Mapping[str, Mapping[str, str]] | None = None,
        compose: bool = False,
        environ: Mapping[str, str] = os.environ,
        usual_ports: bool = True,
    ) -> None:
        self._data_dir = data_dir
        self.log_dir = log_dir.resolve()
        """Where the logs of all services are, in a folder each."""
        self._edges = edges
        """How many edges have been named so far."""
        self._env = env or {}
        self._compose = compose
        self._environ = environ
        self._usual_ports = usual_ports
        self._stack = ExitStack()
        self._secrets = Secrets(*(secrets.token_urlsafe(32) for _ in range(3)))
        self.token_secret = self._secrets.token_secret
        """The secret of students' tokens."""
        self.service_token = self._secrets.service_token
        """The token of callers of the internal API."""
        self.dispatcher_token = self._secrets.dispatcher_token
        """The token of operators for the dispatcher."""
        self._ports: dict[str, int] = {}
        self.public_url = ""
        self.internal_url = ""
        self.edge_urls: dict[str, str] = {}
        self.backing: RunningBacking
        self.services: dict[str, ServiceProcess] = {}

    @property
    def mongodb_uri(self) -> str:
        """Where the store is."""
        return self.backing.mongodb_uri

    @property
    def edges(self) -> list[ServiceProcess]:
        """The edges."""
        return [self.services[name] for name in self.edge_urls]

    def mint_token(self, up: str, *, lasts_s: float = DAY_S) -> str:
        """Return a token of the student ``up``, expired if ``lasts_s`` is negative."""
        return TokenSource(self.token_secret, {}, lasts_s=lasts_s).token(up)

    def wait_until_spread(self) -> None:
        """Wait until the gateway sends some students to each of the edges."""
        wait_until(self._is_spread, TABLE_DEADLINE_S, "students on every edge")

    def _is_spread(self) -> bool:
        step = CIRCLE // (PROBES_AN_EDGE * len(self.edge_urls))
        found = {self.locate(up_at(point)) for point in range(0, CIRCLE, step)}
        return found == set(self.edge_urls.values())

    def locate(self, up: str) -> str | None:
        """Return the URL of a student's edge, or None if the gateway has none for now."""
        headers = {"Authorization": f"Bearer {self.mint_token(up)}"}
        try:
            status, body = http_get(f"{self.public_url}/chat/location", PROBE_TIMEOUT_S, headers)
        except OSError:
            return None
        return str(json.loads(body)["url"]) if status == 200 else None

    def __enter__(self) -> Self:
        allow_open_files(OPEN_FILES)
        with ExitStack() as stack:
            self.backing = stack.enter_context(
                backing_services(self._data_dir, compose=self._compose, environ=self._environ)
            )
            self._choose_ports()
            self.public_url = self._url_of("public")
            self.internal_url = self._url_of("internal")
            self.edge_urls = {name: self._url_of(name) for name in edge_names(self._edges)}
            self._launch_services(stack)
            for service in self.services.values():
                service.wait_ready()
            self.wait_until_spread()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stack.close()

    def _choose_ports(self) -> None:
        """Give the new listeners ports, as late as possible: another program may take a free one."""
        new = {name: port for name, port in preferred_ports(self._edges).items() if name not in self._ports}
        ports = prefer_ports(tuple(new.values())) if self._usual_ports else free_ports(len(new))
        self._ports |= dict(zip(new, ports, strict=True))

    def _launch_services(self, stack: ExitStack) -> None:
        """Launch all services. At the end edges stop first, together; the persister last, to store all."""
        self.services = {one.name: self._service(one) for one in plan_services(self._places(), self._edges)}
        for service in self.services.values():
            if service.name not in self.edge_urls:
                stack.callback(service.stop)
        stack.callback(lambda: stop_together(self.edges))
        for service in self.services.values():
            service.launch()

    def add_edge(self) -> ServiceProcess:
        """Return one more edge, with a new name. The caller starts it."""
        self._edges += 1
        self._choose_ports()
        name = edge_names(self._edges)[-1]
        service = self.services[name] = self._service(plan_edge(self._places(), name))
        self.edge_urls[name] = self._url_of(name)
        return service

    def forget_edge(self, name: str) -> None:
        """Remove an edge that has stopped."""
        del self.services[name], self.edge_urls[name]

    def _url_of(self, listener: str) -> str:
        return f"http://{HOST}:{self._ports[listener]}"

    def _places(self) -> Places:
        return Places(self._ports, self.backing.env(), self._secrets, self.log_dir)

    def _service(self, planned: Planned) -> ServiceProcess:
        service = ServiceProcess(planned, self.log_dir)
        service.env |= self._env.get(planned.module, {})
        service.env |= self._env.get(planned.name, {})
        return service


def stop_together(services: Sequence[ServiceProcess]) -> None:
    """Stop services at the same time."""
    with ThreadPoolExecutor(max_workers=max(1, len(services))) as pool:
        list(pool.map(ServiceProcess.stop, services))
