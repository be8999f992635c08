"""Students run on uvloop, as the commands do; what touches the network runs on asyncio's loop, too."""

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop

ON_BOTH = ("test_chat_client", "test_connection", "test_rest")


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Run each asynchronous test on uvloop, and on either where a loop's ways could be seen."""
    asyncios = {"asyncio": asyncio.new_event_loop} if item.path.stem in ON_BOTH else {}
    return {**asyncios, "uvloop": uvloop.new_event_loop}
