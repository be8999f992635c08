"""Turns traces on if a collector is configured; without one OpenTelemetry is not even imported.

A part that could make spans checks once whether it was given `Spans`, so that they cost nothing without them.
"""

import os
import platform
from functools import partial
from typing import TYPE_CHECKING

from runtime.service import Service
from runtime.settings import TracingSettings

if TYPE_CHECKING:
    from runtime.spans import Spans


def start(service: Service, settings: TracingSettings, *, instance: str | None = None) -> "Spans | None":
    """Return a service's `Spans`, which are closed when it stops; None if no collector is configured."""
    if not settings.otel_exporter_otlp_endpoint:
        return None
    from runtime import spans  # noqa: PLC0415 - only if traces are wanted

    provider = spans.open_provider(service.name, instance or f"{platform.node()}:{os.getpid()}", settings)
    service.resources.push_async_callback(partial(spans.close, provider))
    return spans.Spans(provider)
