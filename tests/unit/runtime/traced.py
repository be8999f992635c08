"""Spans that arrive in the test."""

from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler

from runtime.spans import Sending, Spans


class Traced:
    """Spans, and where they arrive."""

    def __init__(self, sampling: Sampler = ALWAYS_ON) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(sampler=sampling, shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.spans = Spans(provider)

    def sending(self, message_id: str = "m") -> Sending:
        """Begin the span of a record that is sampled."""
        sending = self.spans.send("t", key="g", message_id=message_id)
        assert sending is not None
        return sending

    @property
    def ended(self) -> tuple[ReadableSpan, ...]:
        return self._exporter.get_finished_spans()
