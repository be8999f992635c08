"""What is shown stays where it is while others write: people click, select and hear what they meant to."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browsers import page_in
from tests.browser.chat_stage import Stage, a_stage, message, say

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

# Counts the nodes that come into the log, or move in it: each is read aloud.
COUNT = """
    window.came = 0;
    new MutationObserver((changes) => {
      for (const { addedNodes } of changes) window.came += addedNodes.length;
    }).observe(document.getElementById("messages"), { childList: true });
"""

# Thousands that are set anew with each message take many frames, also where all stay as they were.
NOTE_TOUCHED = """
    window.touched = [];
    const before = [...document.querySelectorAll("#messages .message")];
    const watch = new MutationObserver((changes) => {
      for (const { target, attributeName } of changes) touched.push(attributeName ?? target.textContent);
    });
    for (const node of before) watch.observe(node, { attributes: true, childList: true, subtree: true });
"""


async def test_a_click_on_a_group_counts_whatever_others_write_while_the_button_is_down(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h", "i"]
        await stage.open(page)
        await page.get_by_role("button", name="Group h").hover()
        await page.mouse.down()
        await _hear(stage, page, message(1, "moves up", room="i"), message(2, "moves up", room="h"))
        await page.mouse.up()
        await expect(page.locator("#room-name")).to_have_text("Group h")
        await expect(page.locator("#groups .name")).to_have_text(["Group g", "Group h", "Group i"])


async def test_a_click_on_a_group_that_is_left_while_the_button_is_down_opens_nothing(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        await page.get_by_role("button", name="Group h").hover()
        await page.mouse.down()
        await stage.tell("left", {"room": "h"})
        await _hear(stage, page, message(1, "olá"))
        await page.mouse.up()
        await expect(page.locator("#groups .name")).to_have_text(["Group g"])
        await expect(page.locator("#room-name")).to_have_text("Group g")


async def test_the_focus_stays_on_a_group_also_while_it_moves_up(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h", "i"]
        await stage.open(page)
        chosen = page.get_by_role("button", name="Group h")
        await chosen.focus()
        await _hear(stage, page, message(1, "olá", room="i"))
        await expect(chosen).to_be_focused()
        await stage.tell("chat message", message(5_000, "olá", room="h"))
        await expect(page.locator("#groups .name")).to_have_text(["Group h", "Group g", "Group i"])
        await expect(chosen).to_be_focused()


async def test_only_what_is_new_comes_into_the_log_and_a_selection_stays(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await _hear(stage, page, message(1, "first"))
        await page.locator("#messages .bubble").last.click(click_count=3)
        await page.evaluate(COUNT)
        await _hear(stage, page, message(5, "second"), message(6, "other", room="h"))
        await _hear(stage, page, message(3, "between"))
        assert await page.evaluate("getSelection().toString()") == "behind ['first']"
        assert await page.evaluate("came") == 4  # each hearing ends with a message of its own


async def test_what_is_said_touches_nothing_that_was_said_before(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await _hear(stage, page, message(1, "first"))
        await page.evaluate(NOTE_TOUCHED)
        await _hear(stage, page, message(2, "second"))
        assert await page.evaluate("touched") == []


async def test_a_message_of_mine_is_one_node_from_the_key_to_the_ack(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await page.evaluate(COUNT)
        await say(page, "olá")
        await expect(page.locator(".mine.pending .state")).to_have_text("sending")
        await stage.acks.put({"id": "any", "seq": 7, "timestamp": 1_700_000_000_000})
        await expect(page.locator(".mine:not(.pending)")).to_contain_text("olá")
        assert await page.evaluate("came") == 2  # with its day


async def _hear(stage: Stage, page: Page, *said: dict[str, object]) -> None:
    """Say this in groups, and wait until it is painted, as something behind it in the open group is."""
    for one in said:
        await stage.tell("chat message", one)
    behind = f"behind {[one['message'] for one in said]}"
    await stage.tell("chat message", message(int(str(said[-1]["seq"])) + 1_000, behind))
    await expect(page.locator("#messages")).to_contain_text(behind)
