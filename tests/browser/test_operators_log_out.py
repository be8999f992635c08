"""An operator who logs out of the dispatcher's page sees nothing of it any more, whatever comes later."""

import asyncio

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Route, expect
from pydantic import SecretStr

from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from runtime.assignments import Assignments
from tests.browser.browsers import page_in

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

TOKEN = "only-for-tests-0123456789"


class Leadership:
    """Nobody leads."""

    leader = None


async def test_an_answer_that_comes_after_the_log_out_shows_nothing(browser: Browser) -> None:
    app, leadership = web.Application(), Leadership()
    settings = DispatcherSettings(dispatcher_token=SecretStr(TOKEN))
    Operators(settings, leadership, Assignments()).add_routes(app)  # type: ignore[arg-type]
    asked, logged_out, answered = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def late(route: Route) -> None:
        asked.set()
        await logged_out.wait()
        await route.continue_()

    async with TestServer(app) as server, page_in(browser) as page:
        await page.goto(str(server.make_url("/")))
        await page.get_by_label("Operators' token").fill(TOKEN)
        await page.get_by_role("button", name="Open").click()
        await expect(page.locator("#board")).to_be_visible()
        page.on("requestfinished", lambda _: answered.set() if logged_out.is_set() else None)
        await page.route("**/table", late)
        await asked.wait()
        await page.get_by_role("button", name="Log out").click()
        logged_out.set()
        await answered.wait()
        await page.evaluate("new Promise((done) => setTimeout(done))")
        await expect(page.locator("#login")).to_be_visible()
        await expect(page.locator("#board")).to_be_hidden()
