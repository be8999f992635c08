"""Fixtures of the tests with the official JavaScript client."""

from collections.abc import AsyncIterator

import pytest

from tests.integration.socketio_js.js_students import JsStudents, missing


@pytest.fixture
async def node() -> AsyncIterator[JsStudents]:
    """The official client, ready for orders."""
    if (reason := missing()) is not None:
        pytest.skip(reason)
    async with JsStudents.running() as running:
        yield running
