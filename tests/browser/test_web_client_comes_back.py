"""Who comes back to the web client is where they were; whoever waits is told for what."""

import asyncio

import pytest
from playwright.async_api import Browser, Page, Route, expect

from tests.browser.browsers import page_in
from tests.browser.chat_stage import TOKEN, a_stage, message

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]


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


async def _log_in(page: Page, token: str) -> None:
    await page.get_by_label("Token", exact=True).fill(token)
    await page.get_by_role("button", name="Open my chats").click()
