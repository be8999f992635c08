"""The web client keeps to the rules of docs/connect-a-client.md: it is the example that people read."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, expect

from schemas.client_events import MAX_CURSORS
from schemas.log_records import MAX_TEXT_BYTES
from schemas.refusals import OVERLOADED, TOO_LARGE, TOO_MANY_CONNECTIONS, UNAVAILABLE, Refusal
from tests.browser.browsers import page_in
from tests.browser.chat_stage import TOKEN, Stage, a_stage, message, say
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


async def test_a_page_that_was_replaced_says_so_and_stays_away(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.clock.install()
        await stage.open(page)
        row = TOO_MANY_CONNECTIONS
        await stage.tell("refused", {"code": row.code, "message": row.message, "request_id": "r"})
        await stage.lose()
        await expect(page.locator("#status")).to_contain_text(row.message)
        await page.clock.run_for(60_000)
        assert len(stage.sinces) == 1


async def test_a_page_that_was_moved_goes_there_once_and_stays(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.clock.install()
        await stage.open(page)
        await stage.tell("chat message", message(7, "olá"))
        await stage.tell("move", {"url": stage.edge_url, "reason": "balance", "within_s": 1})
        await eventually("it has moved", lambda: len(stage.sinces) == 2)
        assert stage.sinces == [{}, {"g": 7}]
        await expect(page.locator("#status")).to_contain_text("moved to")
        for _ in range(10):
            await page.clock.run_for(10_000)
        assert len(stage.sinces) == 2


async def test_a_page_that_was_lost_comes_back_with_its_cursors(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await stage.tell("chat message", message(7, "olá"))
        await expect(page.locator("#messages")).to_contain_text("olá")
        await stage.lose()
        await eventually("it comes back", lambda: len(stage.sinces) == 2)
        assert stage.sinces == [{}, {"g": 7}]


async def test_who_is_in_more_groups_than_an_edge_takes_cursors_comes_back_all_the_same(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = [f"g{n}" for n in range(MAX_CURSORS + 1)]
        await stage.open(page)
        await expect(page.locator("#status")).to_contain_text("edge-1")
        await stage.tell("chat message", message(7, "the newest", room="g1000"))
        await expect(page.locator("#groups")).to_contain_text("the newest")
        await stage.lose()
        await eventually("it comes back", lambda: len(stage.sinces) == 2)
        assert len(stage.sinces[1]) == MAX_CURSORS
        assert stage.sinces[1]["g1000"] == 7


async def test_a_message_that_comes_twice_is_shown_once_where_history_has_it(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        for seq, text in ((5, "first"), (6, "between"), (9, "first"), (10, "last")):
            await stage.tell("chat message", message(seq, text, id=text))
        shown = page.locator("#messages .bubble")
        await expect(shown).to_contain_text(["first", "between", "last"])
        await expect(shown).to_have_count(3)


async def test_what_was_said_before_it_listened_is_read_however_late_it_is_stored(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history, stage.head = [message(7, "said before")], 7
        await page.clock.install()
        await stage.open(page)
        await _until_read_so_often(page, stage, 50)
        stage.stored_up_to = 7
        await _until_read_so_often(page, stage, stage.reads + 1)
        await expect(page.locator("#messages")).to_contain_text("said before")


async def _until_read_so_often(page: Page, stage: Stage, reads: int) -> None:
    """Move the page's clock on until it has asked for history so often."""
    for _ in range(5_000):
        if stage.reads >= reads:
            return
        await page.clock.run_for(10_000)
    raise AssertionError(f"it has read history {stage.reads} times only")


@pytest.mark.parametrize("row", [OVERLOADED, TOO_LARGE], ids=lambda row: row.code)
async def test_nobody_is_kept_out_for_want_of_previews(browser: Browser, row: Refusal) -> None:
    async with a_stage() as stage, page_in(browser, forgiven=str(row.status)) as page:
        stage.refused["/chat/message"] = row
        await stage.open(page)
        await expect(page.locator("#groups")).to_contain_text("Group g")


async def test_a_link_with_a_token_counts_also_where_the_page_is_open_and_is_taken_out_of_the_address(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.goto(stage.url)
        await page.goto(f"{stage.url}#token={TOKEN}")
        await expect(page.locator("#groups")).to_contain_text("Group g")
        assert page.url == stage.url


async def test_a_token_that_could_not_be_used_yet_is_still_there_to_try_again(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        stage.refused["/chat/group"] = UNAVAILABLE
        await page.goto(f"{stage.url}#token={TOKEN}")
        await expect(page.get_by_role("alert").first).to_have_text(UNAVAILABLE.message)
        stage.refused.clear()
        await page.get_by_role("button", name="Open my chats").click()
        await expect(page.locator("#groups")).to_contain_text("Group g")


async def test_the_focus_is_seen_on_the_log_where_the_keys_scroll_it(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Members").focus()
        await page.keyboard.press("Tab")
        await expect(page.get_by_role("log")).to_be_focused()
        await expect(page.get_by_role("log")).to_have_css("outline-style", "solid")


async def test_what_is_written_waits_until_the_edge_has_named_its_room(browser: Browser) -> None:
    """An edge that is behind answers `not_a_member` before: what was not acked yet was shown as refused."""
    async with a_stage() as stage, page_in(browser) as page:
        greeted: list[bool] = []

        async def hears(_sid: str, _said: object) -> dict[str, Any]:
            greeted.append(stage.greets.is_set())
            return await stage.acks.get()

        stage.edge.on("chat message", hears)
        await stage.open(page)
        await say(page, "one")
        await eventually("it is heard", lambda: len(greeted) == 1)
        stage.greets.clear()
        await stage.lose()
        await eventually("it is back", lambda: len(stage.sinces) == 2)
        await expect(page.locator("#status")).to_contain_text("edge-1")
        await say(page, "two")
        stage.greets.set()
        await eventually("both are heard", lambda: len(greeted) >= 3)
        assert all(greeted)


async def test_a_text_that_no_edge_takes_is_not_sent_so_that_none_hangs_up_on_it(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        box = page.get_by_label("Message", exact=True)
        await box.fill("a" * (MAX_TEXT_BYTES + 1))
        await box.press("Enter")
        await expect(page.locator(".mine.failed")).to_contain_text("larger than allowed")
        await page.get_by_role("button", name="Edit").click()
        await expect(box).to_have_value("a" * (MAX_TEXT_BYTES + 1))
