"""An operator's page whose dispatcher falls silent, or that another operator is faster than."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, Route, expect
from pydantic import SecretStr

from dispatcher.log_clock import LogClock
from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Pace, Term
from runtime.assignments import Assignments
from schemas.log_records import DrainAsked
from tests.browser.browsers import note_texts, page_in
from tests.unit.dispatcher.reports import report
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

TOKEN = "only-for-tests-0123456789"
HOUR_S = 3600


@asynccontextmanager
async def page_of_a_leader(
    browser: Browser, *edges: str, forgiven: str | None = None
) -> AsyncIterator[tuple[Page, Term]]:
    """Open the page of a dispatcher that leads, and give its term too."""
    term = Term(None, Pace())
    for edge in edges:
        term.add_report(report(edge), 0.0)
    term.settle(0.0)
    app, leadership = web.Application(), SimpleNamespace(leader=SimpleNamespace(term=term, clock=LogClock()))
    settings = DispatcherSettings(dispatcher_token=SecretStr(TOKEN))
    Operators(settings, leadership, Assignments()).add_routes(app)  # type: ignore[arg-type]
    async with TestServer(app) as server, page_in(browser, forgiven=forgiven) as page:
        await page.clock.install(time=0)
        await page.goto(str(server.make_url("/")))
        await page.get_by_label("Operators' token").fill(TOKEN)
        await page.get_by_role("button", name="Open").click()
        await expect(page.locator("#board")).to_be_visible()
        yield page, term


async def test_what_a_dispatcher_said_before_it_fell_silent_is_called_old(browser: Browser) -> None:
    """Also where it hangs, and every question waits for its answer."""

    async def never(_route: Route) -> None:
        await asyncio.Event().wait()

    async with page_of_a_leader(browser, "a") as (page, _):
        await expect(page.locator("#notice")).to_be_hidden()
        await page.route("**/table", never)
        await expect(page.locator("#notice")).to_contain_text("No answer since")


async def test_an_alert_is_the_same_while_nobody_answers_and_buttons_say_which_edge_they_are_of(
    browser: Browser,
) -> None:
    """So that those who hear the page are told once."""
    tries = 0

    async def fail(route: Route) -> None:
        nonlocal tries
        tries += 1
        await route.abort()

    async with page_of_a_leader(browser, "a", forgiven="ERR_FAILED") as (page, _):
        await expect(page.get_by_role("button", name="Drain a")).to_be_visible()
        await note_texts(page, "notice")
        await page.route("**/table", fail)
        await eventually("what was asked before is answered", lambda: tries > 0)
        for tried in range(1, 5):
            await page.clock.run_for(1000)
            await eventually("it asks again", lambda tried=tried: tries > tried)  # type: ignore[misc]
        assert len(await page.evaluate("texts")) == 1


async def test_being_sure_to_drain_an_edge_never_undrains_it_because_another_operator_was_faster(
    browser: Browser,
) -> None:
    asked: list[str] = []

    async def note(route: Route) -> None:
        asked.append(route.request.url.rpartition("/")[2])
        await route.fulfill(json={"ok": True})

    async with page_of_a_leader(browser, "a", "b") as (page, term):
        await page.route("**/edges/**", note)
        await page.clock.pause_at(HOUR_S)
        button = page.locator("#edges tbody button").first
        await button.click()
        await expect(button).to_have_text("Really?")
        term.add_wish(DrainAsked(edge="a", drain=True))
        await page.clock.run_for(1000)
        await expect(button).to_have_text("Serve again")
        await button.click()
        assert asked == []
        async with page.expect_request("**/undrain"):
            await button.click()
