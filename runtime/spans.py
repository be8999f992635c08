"""Spans by OpenTelemetry's semantic conventions: of records sent and processed, of requests and of reads.

The only module that knows OpenTelemetry, and nobody imports it unless traces are wanted: see tracing.py. It
never changes what it describes. Only a sampled record carries ``traceparent``, so that all others stay small.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF, ALWAYS_ON, ParentBased, Sampler, TraceIdRatioBased
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, get_current_span
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from runtime import metrics
from runtime.settings import TracingSettings
from schemas.log_records import TRACEPARENT, Headers, header
from schemas.refusals import Refused
from schemas.topics import of_any_generation

if TYPE_CHECKING:
    from aiokafka import ConsumerRecord
    from aiokafka.structs import RecordMetadata

STOP_WITHIN_S: Final = 2.0
"""What a stop waits for a collector that does not answer: its last spans are worth no more."""

_W3C: Final = TraceContextTextMapPropagator()


class Sending:
    """The span of one record on its way into the log."""

    def __init__(self, span: Span) -> None:
        self._span = span

    @property
    def headers(self) -> Sequence[tuple[str, bytes]]:
        """The record's additional headers, by which its readers continue this trace."""
        context = self._span.get_span_context()
        return ((TRACEPARENT, b"00-%032x-%016x-01" % (context.trace_id, context.span_id)),)

    def sent(self, partition: int, offset: int) -> None:
        """End the span: the record is in the log."""
        self._span.set_attributes(_position(partition, offset))
        self._span.end()

    def failed(self, reason: str) -> None:
        """End the span as failed: the record may be in the log or not. ``reason`` has few values."""
        _fail(self._span, reason)
        self._span.end()

    def settle(self, done: "asyncio.Future[RecordMetadata]") -> None:
        """End the span by the producer's future."""
        if done.cancelled():
            self.failed("cancelled")
        elif error := done.exception():
            self.failed(type(error).__name__)
        else:
            self.sent(done.result().partition, done.result().offset)


class Spans:
    """Begins and ends the spans of one service."""

    def __init__(self, provider: TracerProvider) -> None:
        self._tracer = provider.get_tracer("uni4all_chat")

    def send(self, topic: str, *, key: str, message_id: str) -> Sending | None:
        """Begin the span of a record, within the current request's where there is one.

        Returns None where it is not sampled: nearly always, so nothing is made for it.
        """
        span = self._tracer.start_span(f"send {topic}", kind=SpanKind.PRODUCER)
        if not span.get_span_context().trace_flags.sampled:
            return None
        span.set_attributes(
            {
                **_on_kafka("send", topic),
                "messaging.kafka.message.key": key,
                "messaging.message.id": message_id,
            }
        )
        return Sending(span)

    def processed(
        self, records: "Iterable[ConsumerRecord]", since_ns: int, *, consumer_group: str | None = None
    ) -> None:
        """Add a span from ``since_ns`` (Unix time) until now to the trace of each record that has one."""
        group = {"messaging.consumer.group.name": consumer_group} if consumer_group else {}
        for record in records:
            context = _context_of(record.headers)
            if context is not None:
                topic = of_any_generation(record.topic)
                attributes = {
                    **_on_kafka("process", topic),
                    **_position(record.partition, record.offset),
                    "messaging.kafka.message.key": (record.key or b"").decode(errors="replace"),
                    "messaging.message.id": (header(record.headers, "ce_id") or b"").decode(errors="replace"),
                    **group,
                }
                self._tracer.start_span(
                    f"process {topic}",
                    context,
                    kind=SpanKind.CONSUMER,
                    attributes=attributes,
                    start_time=since_ns,
                ).end()

    @contextmanager
    def request(self, method: str, route: str, headers: Mapping[str, str]) -> Iterator[Callable[[int], None]]:
        """Be within a request's span, which continues its caller's trace if ``headers`` name one.

        Yield a function to call with the answer's status.
        """
        with self._tracer.start_as_current_span(
            f"{method} {route}",
            _W3C.extract(headers),
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        ) as span:
            yield partial(_answered, span)

    @contextmanager
    def read(self, operation: str, collection: str) -> Iterator[None]:
        """Be within the span of a read of the store, if it is part of a request that has one."""
        if not get_current_span().get_span_context().is_valid:
            yield
            return
        attributes = {
            "db.system.name": "mongodb",
            "db.operation.name": operation,
            "db.collection.name": collection,
        }
        with self._tracer.start_as_current_span(
            f"{operation} {collection}",
            kind=SpanKind.CLIENT,
            attributes=attributes,
            record_exception=False,
            set_status_on_exception=False,
        ) as span:
            try:
                yield
            except (Exception, asyncio.CancelledError) as error:
                _fail(span, _kind_of(error))
                raise


def open_provider(service: str, instance: str, settings: TracingSettings) -> TracerProvider:
    """Return a provider that makes spans, and exports them to the collector in a thread of its own."""
    named = {"service.namespace": "uni4all-chat", "service.name": service, "service.instance.id": instance}
    provider = TracerProvider(
        sampler=sampler(settings.otel_traces_sampler, settings.otel_traces_sampler_arg),
        resource=Resource.create(named),
        shutdown_on_exit=False,
    )
    endpoint = settings.otel_exporter_otlp_endpoint.rstrip("/") + "/v1/traces"
    provider.add_span_processor(_CountEnded())
    provider.add_span_processor(BatchSpanProcessor(_CountExported(OTLPSpanExporter(endpoint))))
    return provider


def sampler(name: str, ratio: float) -> Sampler:
    """Return the sampler that OpenTelemetry's ``OTEL_TRACES_SAMPLER`` names so."""
    roots: dict[str, Sampler] = {"always_on": ALWAYS_ON, "always_off": ALWAYS_OFF}
    root = roots.get(name.removeprefix("parentbased_")) or TraceIdRatioBased(ratio)
    return ParentBased(root) if name.startswith("parentbased_") else root


async def close(provider: TracerProvider) -> None:
    """Export the last spans, within `STOP_WITHIN_S`: a collector that is away must not delay a stop."""
    closing = threading.Thread(target=provider.shutdown, name="last spans", daemon=True)
    closing.start()
    await asyncio.to_thread(closing.join, STOP_WITHIN_S)


class _CountEnded(SpanProcessor):
    def on_end(self, span: ReadableSpan) -> None:
        if span.context is not None and span.context.trace_flags.sampled:
            metrics.SPANS.labels(outcome="ended").inc()


class _CountExported(SpanExporter):
    """Counts exported spans. Those that the queue dropped, or the collector did not take, only ended."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._exporter = exporter

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        result = self._exporter.export(spans)
        if result is SpanExportResult.SUCCESS:
            metrics.SPANS.labels(outcome="exported").inc(len(spans))
        return result

    def shutdown(self) -> None:
        self._exporter.shutdown()


def _on_kafka(operation: str, topic: str) -> dict[str, Any]:
    return {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
    }


def _position(partition: int, offset: int) -> dict[str, Any]:
    return {"messaging.destination.partition.id": str(partition), "messaging.kafka.offset": offset}


def _context_of(headers: Headers) -> Context | None:
    """Return the trace that a record belongs to; None if its header is missing or malformed."""
    found = header(headers, TRACEPARENT)
    if found is None:
        return None
    context = _W3C.extract({TRACEPARENT: found.decode(errors="replace")})
    return context if get_current_span(context).get_span_context().is_valid else None


def _answered(span: Span, status: int) -> None:
    """Set the span's status. Only 5xx is an error: a 4xx is the caller's fault."""
    span.set_attribute("http.response.status_code", status)
    if status >= 500:
        _fail(span, str(status))


def _kind_of(error: BaseException) -> str:
    return error.refusal.code if isinstance(error, Refused) else type(error).__name__


def _fail(span: Span, reason: str) -> None:
    span.set_attribute("error.type", reason)
    span.set_status(Status(StatusCode.ERROR))
