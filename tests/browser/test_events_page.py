"""The page of the events, on the narrowest phone."""

from collections.abc import Callable

import pytest
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser

from api_gateway import pages
from api_gateway.answers import Api
from schemas import asyncapi
from tests.browser.browsers import fits, page_in
from tests.unit.api_gateway.parts import UNBOUNDED

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


@pytest.mark.parametrize("of", [asyncapi.for_clients, asyncapi.for_the_solution])
async def test_its_tables_are_no_wider_than_the_window(
    browser: Browser, of: Callable[[], asyncapi.Document]
) -> None:
    api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    pages.add_asyncapi(api, of())
    async with TestServer(api.application) as server, page_in(browser, 320) as page:
        await page.goto(str(server.make_url("/asyncapi")))
        assert await fits(page)
        names = page.locator("td a")
        assert await names.evaluate_all("(all) => all.every((name) => name.getClientRects().length === 1)")
