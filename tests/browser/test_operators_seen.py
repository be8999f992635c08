"""The operators' page for those who see little."""

from types import SimpleNamespace
from typing import Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser
from pydantic import SecretStr

from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from runtime.assignments import Assignments
from tests.browser.browsers import least_contrast_of_borders, page_in

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_where_the_token_is_written_has_a_border_that_is_seen(
    browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    app, settings = (
        web.Application(),
        DispatcherSettings(dispatcher_token=SecretStr("only-for-tests-0123456789")),
    )
    Operators(settings, SimpleNamespace(leader=None), Assignments()).add_routes(app)  # type: ignore[arg-type]
    async with TestServer(app) as server, page_in(browser) as page:
        await page.emulate_media(color_scheme=scheme)
        await page.goto(str(server.make_url("/")))
        assert await least_contrast_of_borders(page) >= 3
