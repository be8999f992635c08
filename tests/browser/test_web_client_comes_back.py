"""Who comes back to the web client is where they were; whoever waits is told for what."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.browsers import page_in
from tests.browser.chat_stage import TOKEN, a_stage, message
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


@pytest.mark.parametrize("is_expired", [False, True], ids=["by a reload", "by a new token"])
async def test_who_comes_back_is_in_the_group_that_was_open(browser: Browser, is_expired: bool) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.newest = ["g", "h"], [message(1, "the newest")]
        await stage.open(page)
        await page.get_by_role("button", name="Group h").click()
        await page.get_by_label("Message", exact=True).fill("a draft")
        if is_expired:
            await stage.expire()
            await _log_in(page, "nobody's token")
            await _log_in(page, TOKEN)
        else:
            await page.reload()
        await expect(page.locator("#room-name")).to_have_text("Group h")
        await expect(page.locator("#text")).to_have_value("a draft" if is_expired else "")


async def test_who_has_logged_out_by_choice_begins_with_the_newest(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.newest = ["g", "h"], [message(1, "the newest")]
        await stage.open(page)
        await page.get_by_role("button", name="Group h").click()
        await page.get_by_role("button", name="Log out").click()
        await _log_in(page, TOKEN)
        await expect(page.locator("#room-name")).to_have_text("Group g")


async def test_no_token_is_asked_for_while_one_is_tried(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            asked.set()
            await may_answer.wait()
            await route.continue_()

        await page.route("**/chat/group", late)
        await page.goto(f"{stage.url}#token={TOKEN}")
        await asked.wait()
        await expect(page.get_by_label("Token", exact=True)).to_be_hidden()
        await expect(page.locator("#opening")).to_be_visible()
        may_answer.set()
        await expect(page.locator("#room-name")).to_have_text("Group g")
        await expect(page.locator("#opening")).to_be_hidden()


async def test_a_gateway_that_takes_a_request_and_says_nothing_is_asked_again(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        asked = 0

        async def hangs_at_first(route: Route) -> None:
            nonlocal asked
            asked += 1
            if asked > 1:
                await route.continue_()

        await page.clock.install()
        await page.route("**/chat/location", hangs_at_first)
        await page.goto(f"{stage.url}#token={TOKEN}")
        await eventually("it was asked", lambda: asked == 1)
        await expect(page.locator("#status")).to_have_text("Looking for a server")

        async def is_asked_again() -> bool:
            await page.clock.run_for(5_000)
            return asked > 1

        await eventually("it is asked again", is_asked_again)
        # Moved on any further, the clock would let this one be too late as well.
        await eventually("it is connected", lambda: bool(stage.sid))


async def test_a_page_asks_less_often_the_longer_it_is_in_vain(browser: Browser) -> None:
    """Each asked every two seconds, and thousands may be open."""
    async with a_stage() as stage, page_in(browser, forgiven="ERR_FAILED") as page:
        tries, failures = list[str](), list[str]()
        history = "/chat/g/message"
        page.on("request", lambda asked: tries.append(asked.url) if history in asked.url else None)
        page.on("requestfailed", lambda asked: failures.append(asked.url) if history in asked.url else None)
        await page.clock.install()
        await page.clock.pause_at(3_600_000 + await page.evaluate("Date.now()"))
        await page.route(f"**{history}**", lambda route: route.abort())
        await page.goto(f"{stage.url}#token={TOKEN}")
        await eventually("it was tried", lambda: 0 < len(failures) == len(tries))
        for _second in range(60):
            await page.clock.run_for(1000)
            await eventually("each try has failed", lambda: len(failures) == len(tries))
        assert len(tries) < 25


async def test_an_edge_that_lets_a_page_in_by_half_costs_it_one_try(browser: Browser) -> None:
    """The library tells of such an end twice: tries doubled, and took the place of a good connection.

    What else it has asked by then, the edge may refuse: it does not know that connection any more.
    """
    async with a_stage() as stage, page_in(browser, forgiven="Failed to load resource") as page:
        is_cut = False

        async def cut_once(route: Route) -> None:
            nonlocal is_cut
            if is_cut or route.request.method != "POST":
                await route.continue_()
            else:
                is_cut = True
                await route.abort()

        await page.clock.install()
        await page.route("**/socket.io/**", cut_once)
        await page.goto(f"{stage.url}#token={TOKEN}")
        await eventually("it is cut off", lambda: is_cut)

        async def is_connected() -> bool:
            await page.clock.run_for(500)
            return bool(stage.sid)

        await eventually("it is connected", is_connected)
        await page.clock.run_for(60_000)
        assert len(stage.sinces) == 1


async def test_a_page_that_the_browser_kept_while_another_was_looked_at_hears_again(browser: Browser) -> None:
    """As it goes, the library gives up its poll. It heard nothing from then on, and did not say so."""
    async with a_stage() as stage, page_in(browser) as page:
        await page.add_init_script("delete window.WebSocket")
        await stage.open(page)
        await expect(page.locator("#status")).to_contain_text("edge-1")
        before = stage.sid
        for event in ("pagehide", "pageshow"):
            await page.evaluate(
                "(event) => dispatchEvent(new PageTransitionEvent(event, { persisted: true }))", event
            )
        await eventually("it is connected again", lambda: stage.sid != before)
        await stage.tell("chat message", message(7, "olá"))
        await expect(page.locator("#messages")).to_contain_text("olá")


async def _log_in(page: Page, token: str) -> None:
    await page.get_by_label("Token", exact=True).fill(token)
    await page.get_by_role("button", name="Open my chats").click()
