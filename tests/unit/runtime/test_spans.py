"""Spans say what OpenTelemetry's conventions name, records carry what W3C's do; no bytes confuse them."""

import asyncio
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.semconv._incubating.attributes import messaging_attributes
from opentelemetry.semconv.attributes import db_attributes, error_attributes, http_attributes

from runtime import tracing
from runtime.service import Service
from runtime.settings import ServiceSettings, TracingSettings
from runtime.spans import sampler
from schemas.log_records import Headers
from schemas.refusals import OVERLOADED, Refused
from tests.unit.runtime.traced import Traced

KNOWN = {
    value
    for names in (messaging_attributes, db_attributes, error_attributes, http_attributes)
    for name, value in vars(names).items()
    if name.isupper()
}


def a_record(headers: Any) -> Any:
    return SimpleNamespace(topic="t", partition=1, offset=7, key=b"g", headers=headers)


def test_what_processes_a_record_goes_on_in_the_trace_of_its_sending() -> None:
    sender, reader = Traced(), Traced()
    sending = sender.sending(message_id="up/1")
    reader.spans.processed([a_record([*sending.headers, ("ce_id", b"up/1")])], 5, consumer_group="p")
    sending.sent(1, 7)
    (sent,), (processed,) = sender.ended, reader.ended
    assert processed.context.trace_id == sent.context.trace_id
    assert processed.parent is not None
    assert processed.parent.span_id == sent.context.span_id
    assert (processed.start_time, processed.name, sent.name) == (5, "process t", "send t")
    for span in (sent, processed):
        attributes = span.attributes or {}
        assert attributes["messaging.kafka.offset"] == 7
        assert attributes["messaging.message.id"] == "up/1"


async def test_all_attributes_are_named_by_the_conventions() -> None:
    traced = Traced()
    traced.sending().failed("unavailable")
    with traced.spans.request("GET", "/chat/{group}/message", {}) as answered:
        with pytest.raises(Refused), traced.spans.read("find", "messages"):
            raise Refused(OVERLOADED)
        sending = traced.sending()
        answered(503)
    traced.spans.processed([a_record(sending.headers)], 5, consumer_group="p")
    sending.sent(0, 0)
    names = {name for span in traced.ended for name in span.attributes or {}}
    assert len(traced.ended) == 5
    assert names <= KNOWN
    assert {(span.attributes or {}).get("error.type") for span in traced.ended} == {
        None, "unavailable", "503", OVERLOADED.code
    }  # fmt: skip


def test_nothing_is_made_for_a_record_that_is_not_sampled() -> None:
    traced = Traced(ALWAYS_OFF)
    assert traced.spans.send("t", key="g", message_id="m") is None
    assert not traced.ended


@given(
    st.lists(st.tuples(st.sampled_from(["traceparent", "ce_id", "x"]), st.none() | st.binary(max_size=60)))
)
def test_no_header_that_anybody_writes_makes_a_reader_fail(headers: Headers) -> None:
    traced = Traced()
    traced.spans.processed([a_record(headers)], 5)
    assert not traced.ended


def test_a_read_that_belongs_to_no_request_is_no_trace_of_its_own() -> None:
    traced = Traced()
    with traced.spans.read("find", "progress"):
        pass
    assert not traced.ended


async def test_a_producer_s_answer_ends_the_span() -> None:
    traced = Traced()
    failed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    failed.set_exception(TimeoutError())
    traced.sending().settle(failed)
    gone: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    gone.cancel()
    traced.sending().settle(gone)
    assert [(span.attributes or {})["error.type"] for span in traced.ended] == ["TimeoutError", "cancelled"]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("always_on", "AlwaysOnSampler"),
        ("traceidratio", "TraceIdRatioBased{0.25}"),
        ("parentbased_always_off", "ParentBased{root:AlwaysOffSampler"),
        ("parentbased_traceidratio", "ParentBased{root:TraceIdRatioBased{0.25}"),
    ],
)
def test_samplers_are_those_that_the_standard_names_so(name: str, says: str) -> None:
    assert sampler(name, 0.25).get_description().startswith(says)


async def test_without_a_collector_there_is_nothing_that_makes_spans() -> None:
    assert (
        tracing.start(Service("s", ServiceSettings()), TracingSettings(otel_exporter_otlp_endpoint=""))
        is None
    )


def test_without_a_collector_nothing_of_opentelemetry_is_imported() -> None:
    services = "edge_server.app, persister.app, api_gateway.app, dispatcher.app"
    look = f"import sys, {services}; print([name for name in sys.modules if 'opentelemetry' in name])"
    said = subprocess.run([sys.executable, "-c", look], capture_output=True, text=True, check=True)
    assert said.stdout == "[]\n"
