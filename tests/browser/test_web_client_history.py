"""Whoever reads what was said before comes to it, and stays where they read."""

import pytest
from playwright.async_api import Browser, Page, Route, expect

from api_gateway.pages import WEB
from schemas.refusals import HISTORY_UNAVAILABLE
from tests.browser.browsers import page_in
from tests.browser.chat_stage import UP, a_stage, message, read_further_up, say

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

KEPT = 100
"""So many messages of a group are kept while its end is read, in a page that keeps few."""


async def keeps_few(page: Page) -> None:
    """Let a page keep so few messages: the thousand of everybody's take seconds to be said and drawn."""
    script = (WEB / "state.js").read_text()
    usual = "const MAX_KEPT = 1000;"
    assert usual in script
    few = script.replace(usual, f"const MAX_KEPT = {KEPT};")

    async def answer(route: Route) -> None:
        await route.fulfill(body=few, content_type="text/javascript")

    await page.route("**/web/state.js", answer)


async def test_who_reads_further_up_stays_there_however_much_is_said(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await keeps_few(page)
        stage.history = [message(seq, f"text {seq}") for seq in range(KEPT + 50)]
        stage.stored_up_to = KEPT + 49
        await stage.open(page)
        shown = page.locator("#messages .bubble")
        while not await page.locator("[data-id=m0]").count():
            before = await shown.count()
            await read_further_up(page, 0)
            await expect(shown).not_to_have_count(before)
        await page.evaluate("messages.scrollTop = 0")
        await stage.tell("chat message", message(KEPT + 50, "said now"))
        await expect(page.locator("#messages")).to_contain_text("said now")
        await expect(shown.first).to_contain_text("text 0")
        await page.evaluate("messages.scrollTop = messages.scrollHeight")
        await stage.tell("chat message", message(KEPT + 51, "said later"))
        await expect(shown.last).to_contain_text("said later")
        await expect(shown).to_have_count(KEPT)


async def test_who_reads_further_up_before_the_edge_has_greeted_stays_there(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.head = stage.stored_up_to = 199
        stage.history = [message(seq, f"text {seq}") for seq in range(200)]
        stage.greets.clear()
        asked = list[str]()
        page.on("request", lambda request: asked.append(request.url) if "/g/message" in request.url else None)
        await stage.open(page)
        shown = page.locator("#messages .bubble")
        await expect(shown).to_have_count(50)
        await read_further_up(page, 0)
        await expect(shown).to_have_count(100)
        await read_further_up(page, 200)
        stage.greets.set()
        await stage.greeting
        await stage.tell("chat message", message(200, "said now"))
        await expect(page.locator("#to-newest")).to_have_text("1 new ↓")
        await expect(shown).to_have_count(101)
        assert len(asked) == 2, "the newest page and an older one"


async def test_who_reads_further_up_is_told_what_comes_and_offered_the_way_there(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history, stage.stored_up_to = [message(seq, f"text {seq}") for seq in range(100)], 99
        await stage.open(page)
        shown, unread = page.locator("#messages .bubble"), page.locator("#groups .unread")
        newest = page.locator("#to-newest")
        await expect(shown.last).to_contain_text("text 99")
        await expect(newest).to_be_hidden()
        await read_further_up(page, 200)
        await expect(newest).to_have_text("Newest ↓")
        await stage.tell("chat message", message(100, "said now"))
        await expect(newest).to_have_text("1 new ↓")
        await expect(unread).to_have_text("1")
        await newest.click()
        await expect(shown.last).to_be_in_viewport()
        await expect(newest).to_be_hidden()
        await expect(unread).to_have_text("0")
        await expect(page.get_by_role("log")).to_be_focused()
        await read_further_up(page, 200)
        await stage.tell("chat message", message(101, "said later"))
        await expect(newest).to_have_text("1 new ↓")
        await page.evaluate("messages.scrollTop = messages.scrollHeight")
        await expect(newest).to_be_hidden()
        await expect(unread).to_have_text("0")


async def test_a_message_of_mine_that_was_acked_before_it_came_makes_room_too(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await keeps_few(page)
        await stage.open(page)
        shown = page.locator("#messages .bubble")
        for seq in range(KEPT):
            await stage.tell("chat message", message(seq, f"text {seq}"))
        await expect(shown).to_have_count(KEPT)
        await say(page, "mine")
        await stage.acks.put({"id": "any", "seq": KEPT, "timestamp": 1_700_000_000_000 + KEPT})
        await expect(page.locator(".mine time")).not_to_be_empty()
        (said,) = stage.said
        await stage.tell("chat message", message(KEPT, "mine", up=UP, id=said["id"]))
        await expect(shown).to_have_count(KEPT)
        await expect(shown.last).to_contain_text("mine")


async def test_a_page_that_is_left_further_up_does_not_grow_for_ever(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await keeps_few(page)
        stage.history, stage.stored_up_to = [message(seq, f"text {seq}") for seq in range(100)], 99
        await stage.open(page)
        shown = page.locator("#messages .bubble")
        await expect(shown.last).to_contain_text("text 99")
        await read_further_up(page, 200)
        for seq in range(100, 4 * KEPT + 100):
            await stage.tell("chat message", message(seq, f"text {seq}"))
        await expect(shown.last).to_contain_text(f"text {4 * KEPT + 99}")
        await expect(shown).to_have_count(4 * KEPT)
        await page.evaluate("messages.scrollTop = 0")
        await expect(shown).to_have_count(4 * KEPT + 50)
        await stage.tell("chat message", message(4 * KEPT + 100, "said now"))
        await expect(shown.last).to_contain_text("said now")
        await expect(shown).to_have_count(4 * KEPT + 50)


async def test_a_window_that_a_page_does_not_fill_is_filled_with_older_pages(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.set_viewport_size({"width": 1280, "height": 4000})
        stage.history = [message(seq, f"text {seq}") for seq in range(80)]
        stage.stored_up_to = 79
        await stage.open(page)
        await expect(page.locator("#messages .bubble")).to_have_count(80)


async def test_older_messages_that_come_after_the_newest_were_read_again_leave_no_hole(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.set_viewport_size({"width": 1280, "height": 4000})
        stage.head = 199
        stage.history, stage.stored_up_to = [message(seq, f"text {seq}") for seq in range(200)], 99
        stage.tells_older.clear()
        await stage.open(page)
        shown = page.locator("#messages .bubble")
        await expect(shown.last).to_contain_text("text 99")
        stage.stored_up_to = 199
        await expect(shown.last).to_contain_text("text 199")
        stage.tells_older.set()
        await expect(page.locator("[data-id=m140]")).to_be_attached()
        ids = await page.locator("#messages .message").evaluate_all(
            "all => all.map(({dataset}) => dataset.id)"
        )
        assert ids == [f"m{seq}" for seq in range(200 - len(ids), 200)]


async def test_older_messages_that_could_not_be_read_come_by_themselves(browser: Browser) -> None:
    """At the very top nothing more scrolls: they were not asked for again, and the fault was shown on."""
    row = HISTORY_UNAVAILABLE
    async with a_stage() as stage, page_in(browser, forgiven=str(row.status)) as page:
        stage.history = [message(seq, f"text {seq}") for seq in range(70)]
        stage.stored_up_to = 69
        await stage.open(page)
        await expect(page.locator("#messages .bubble")).to_have_count(50)
        stage.refused["/chat/g/message"] = row
        await read_further_up(page, 0)
        await expect(page.locator("#room-facts")).to_have_text(row.message)
        stage.refused.clear()
        await expect(page.locator("#messages .bubble")).to_have_count(70)
        await expect(page.locator("#room-facts")).to_be_empty()


async def test_older_messages_that_could_not_be_read_before_the_newest_were_read_again_come_too(
    browser: Browser,
) -> None:
    """Where a page does not fill the window nothing scrolls: there was no second page."""
    refused = HISTORY_UNAVAILABLE
    async with a_stage() as stage, page_in(browser, forgiven=str(refused.status)) as page:
        await page.set_viewport_size({"width": 1280, "height": 4000})
        stage.head = 199
        stage.history, stage.stored_up_to = [message(seq, f"text {seq}") for seq in range(200)], 99

        async def refuse(route: Route) -> None:
            stage.stored_up_to = 199
            await route.fulfill(
                status=refused.status, json={"error": {"code": refused.code, "message": refused.message}}
            )

        await page.route("**before=50", refuse)
        await stage.open(page)
        await expect(page.locator("#messages .bubble").last).to_contain_text("text 199")
        await expect(page.locator("[data-id=m140]")).to_be_attached()
        await expect(page.locator("#room-facts")).to_be_empty()
