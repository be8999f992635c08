"""One browser for all of these tests: starting it takes longer than most of them."""

from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, expect

from tests.browser.browsers import a_browser

# What is waited for comes, however busy the machine is; by itself Playwright waits for 5 s.
expect.set_options(timeout=60_000)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser() -> AsyncIterator[Browser]:
    """A browser; the tests that open pages in it run in its event loop."""
    async with a_browser() as running:
        yield running
