"""Traces for whoever names a collector; without one nothing of OpenTelemetry is even imported.

A part that could make spans asks once whether it was given any, so that they cost nothing where nobody looks.
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
    """Return what makes a service's spans until it stops; None where no collector is named."""
    if not settings.otel_exporter_otlp_endpoint:
        return None
    from runtime import spans  # noqa: PLC0415 - its libraries are for those who want traces

    provider = spans.open_provider(service.name, instance or f"{platform.node()}:{os.getpid()}", settings)
    service.resources.push_async_callback(partial(spans.close, provider))
    return spans.Spans(provider)
