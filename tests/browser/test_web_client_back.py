"""On a phone the browser's way back leads from a group to the list of groups, as the page's own does."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browsers import page_in
from tests.browser.chat_stage import Stage, a_stage

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

PHONE = 390
UNTIL_AT_THE_LIST = """() => new Promise((done) => {
    const look = () => (history.state === null ? done() : setTimeout(look, 10));
    look();
})"""
GO_FORWARD = """() => new Promise((done) => {
    const seen = [];
    addEventListener("popstate", ({ state }) => seen.push(state) === 2 && done(seen));
    history.forward();
})"""


async def test_on_a_phone_the_browser_goes_back_to_the_groups_and_forward_again(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        await _open(page, "Group g")
        await page.go_back()
        await expect(page.get_by_role("button", name="Group g")).to_be_focused()
        await page.go_forward()
        await expect(page.locator("#room-name")).to_have_text("Group g")
        await page.reload()
        await expect(page.locator("#room-name")).to_have_text("Group g")
        await page.go_back()
        await expect(page.get_by_role("button", name="Group g")).to_be_focused()
        assert page.url == stage.url


async def test_on_a_phone_groups_that_are_opened_one_after_another_are_one_step(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        before = await page.evaluate("history.length")
        for name in 2 * ["Group g", "Group h"]:
            await _open(page, name)
            await page.get_by_role("button", name="Back to the groups").click()
            await expect(page.get_by_role("button", name=name)).to_be_focused()
            await _is_at_the_list(page)
        await _open(page, "Group g")
        assert await page.evaluate("history.length") == before + 1
        await page.go_back()
        await _leaves_the_chat(page, stage)


@pytest.mark.parametrize("is_expired", [False, True], ids=["the group is left", "the token expires"])
async def test_on_a_phone_a_group_that_closes_by_itself_is_no_step_any_more(
    browser: Browser, is_expired: bool
) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        await _open(page, "Group g")
        await (stage.expire() if is_expired else stage.tell("left", {"room": "g"}))
        await expect(page.locator("#room")).to_be_hidden()
        await _is_at_the_list(page)
        assert await page.evaluate(GO_FORWARD) == ["g", None]
        await expect(page.locator("#room")).to_be_hidden()
        await _leaves_the_chat(page, stage)


async def test_on_wide_screens_groups_are_no_steps(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        before = await page.evaluate("history.length")
        for name in ("Group h", "Group g"):
            await _open(page, name)
        assert await page.evaluate("[history.length, history.state]") == [before, None]
        await _leaves_the_chat(page, stage)


async def _open(page: Page, name: str) -> None:
    await page.get_by_role("button", name=name).click()
    await expect(page.locator("#room-name")).to_have_text(name)


async def _is_at_the_list(page: Page) -> None:
    """Wait until the browser is where it was before a group was opened."""
    await page.evaluate(UNTIL_AT_THE_LIST)


async def _leaves_the_chat(page: Page, stage: Stage) -> None:
    """One step further back is where the student came from."""
    await page.go_back()
    assert not page.url.startswith(stage.url)
