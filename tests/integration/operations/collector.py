"""A collector of traces as small as it can be: takes OTLP over HTTP and remembers the spans."""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import KeyValue


@dataclass(frozen=True)
class SeenSpan:
    """A span as a collector sees it. ``kind`` is OpenTelemetry's number, ids are hexadecimal."""

    name: str
    kind: int
    trace: str
    id: str
    parent: str
    resource: Mapping[str, Any]
    attributes: Mapping[str, Any]
    failed: bool

    @property
    def instance(self) -> str:
        """The process that made it."""
        return str(self.resource["service.instance.id"])


class Collector:
    """Where spans arrive; ``url`` is what services are told."""

    def __init__(self) -> None:
        self.spans: list[SeenSpan] = []
        self.url = ""

    def take(self, path: str, body: bytes) -> None:
        """Remember what one request brings."""
        assert path == "/v1/traces"
        for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            resource = _plain(of_resource.resource.attributes)
            for scope in of_resource.scope_spans:
                self.spans += [
                    SeenSpan(
                        span.name, span.kind, span.trace_id.hex(), span.span_id.hex(),
                        span.parent_span_id.hex(), resource, _plain(span.attributes), span.status.code == 2,
                    )
                    for span in scope.spans
                ]  # fmt: skip


@contextmanager
def running_collector() -> Iterator[Collector]:
    """Run a collector for the length of the block."""
    collector = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            collector.take(self.path, self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the library's name
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        collector.url = f"http://127.0.0.1:{server.server_port}"
        serving = threading.Thread(target=server.serve_forever)
        serving.start()
        try:
            yield collector
        finally:
            server.shutdown()
            serving.join()


def _plain(attributes: "Any") -> dict[str, Any]:
    def value(pair: KeyValue) -> Any:
        kind = pair.value.WhichOneof("value")
        return None if kind is None else getattr(pair.value, kind)

    return {pair.key: value(pair) for pair in attributes}
