"""The operators' page for those who see little, or use a keyboard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, expect
from pydantic import SecretStr

from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from runtime.assignments import Assignments
from tests.browser.browsers import least_contrast_of_borders, page_in

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


TOKEN = "only-for-tests-0123456789"


@asynccontextmanager
async def _opened(browser: Browser) -> AsyncIterator[Page]:
    """Open the page where nobody leads."""
    app, settings = web.Application(), DispatcherSettings(dispatcher_token=SecretStr(TOKEN))
    Operators(settings, SimpleNamespace(leader=None), Assignments()).add_routes(app)  # type: ignore[arg-type]
    async with TestServer(app) as server, page_in(browser) as page:
        await page.goto(str(server.make_url("/")))
        yield page


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_where_the_token_is_written_has_a_border_that_is_seen(
    browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    async with _opened(browser) as page:
        await page.emulate_media(color_scheme=scheme)
        assert await least_contrast_of_borders(page) >= 3


async def test_whoever_has_logged_in_is_where_the_page_begins(browser: Browser) -> None:
    async with _opened(browser) as page:
        await page.get_by_label("Operators' token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_be_focused()
