"""What a student sees of a group is that group's alone: people, what is unread, half written, or failed."""

import pytest
from playwright.async_api import Browser, expect

from schemas.refusals import HISTORY_UNAVAILABLE, NOT_FOUND, TOO_LARGE, UNAVAILABLE
from tests.browser.browsers import fits, page_in
from tests.browser.chat_stage import UP, a_stage, message
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

PHONE = 390


async def test_on_a_phone_a_group_that_was_left_for_the_list_shows_what_is_unread(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        group = page.get_by_role("button", name="Group g")
        await group.click()
        await stage.tell("chat message", message(1, "seen"))
        await expect(page.locator("#messages")).to_contain_text("seen")
        await page.get_by_role("button", name="Back to the groups").click()
        await expect(group).to_be_focused()
        await stage.tell("chat message", message(2, "not seen yet"))
        await expect(group.locator(".unread")).to_have_text("1")
        await group.click()
        await expect(page.locator("#messages")).to_contain_text("not seen yet")
        await page.get_by_role("button", name="Back to the groups").click()
        await expect(group.locator(".unread")).to_be_hidden()


async def test_a_draft_is_its_group_s_alone_and_waits_there(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        box = page.get_by_label("Message", exact=True)
        await box.fill("for g")
        await page.get_by_role("button", name="Group h").click()
        await expect(box).to_have_value("")
        await box.fill("for\nh")
        await page.get_by_role("button", name="Group g").click()
        await expect(box).to_have_value("for g")
        await box.press("Enter")
        await expect(page.locator(".mine")).to_contain_text("for g")
        await page.get_by_role("button", name="Group h").click()
        await expect(box).to_have_value("for\nh")
        await page.get_by_role("button", name="Group g").click()
        await expect(box).to_have_value("")


async def test_the_members_are_those_of_the_open_group_also_while_history_is_away(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        stage.groups, stage.users["h"] = ["g", "h"], ["up202000007"]
        stage.refused["/chat/h/message"] = UNAVAILABLE
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        members = page.locator("#members li")
        await expect(members).to_contain_text([f"{UP} (you)", "up202000002"])
        await page.get_by_label("UP number", exact=True).fill("up202000009")
        await page.get_by_role("button", name="Group h").click()
        await expect(members).to_contain_text(["up202000007"])
        await expect(members).to_have_count(1)
        await expect(page.get_by_label("UP number", exact=True)).to_have_value("")


async def test_of_very_many_members_the_first_are_shown_and_the_others_counted(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.users["g"] = [f"up2020{number:05}" for number in range(1_002)]
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        members = page.locator("#members li")
        await expect(members).to_have_count(1_001)
        await expect(members.nth(999)).to_contain_text("up202000999")
        await expect(members.last).to_have_text("and 2 others")
        await expect(page.locator("#room-facts")).to_have_text("1002 members")


async def test_a_group_whose_members_cannot_be_read_shows_nobody_else_s(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="404") as page:
        stage.groups = ["g", "h"]
        stage.refused["/chat/group/h"] = NOT_FOUND
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members li")).to_have_count(2)
        await page.get_by_role("button", name="Group h").click()
        await expect(page.locator("#people-error")).to_have_text(NOT_FOUND.message)
        await expect(page.locator("#members li")).to_have_count(0)
        await page.get_by_role("button", name="Group g").click()
        await expect(page.locator("#people-error")).to_be_hidden()
        await expect(page.locator("#members li")).to_have_count(2)


async def test_that_history_cannot_be_read_is_said_until_it_can(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        stage.groups, stage.history, stage.stored_up_to = ["g", "h"], [message(1, "said before")], 1
        stage.refused["/chat/h/message"] = HISTORY_UNAVAILABLE
        await page.clock.install()
        await stage.open(page)
        await page.get_by_role("button", name="Group h").click()
        facts = page.locator("#room-facts")
        await expect(facts).to_have_text(HISTORY_UNAVAILABLE.message)
        await stage.tell("chat message", message(7, "said now", room="h"))
        await expect(page.locator("#messages")).to_contain_text("said now")
        assert await facts.text_content() == HISTORY_UNAVAILABLE.message
        await page.get_by_role("button", name="Group g").click()
        await expect(facts).to_have_text("")
        await page.get_by_role("button", name="Group h").click()
        await expect(facts).to_have_text(HISTORY_UNAVAILABLE.message)
        stage.refused.clear()
        # A try may be under way that was refused before that: the next one comes later. Once it has come, the
        # clock must not be moved on: its answer would be too late.
        before = stage.reads
        while stage.reads == before:
            await page.clock.run_for(10_000)
        await expect(page.locator("#messages")).to_contain_text("said before")
        await expect(facts).to_have_text("")


async def test_messages_that_a_lost_network_kept_away_come_by_themselves(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="ERR_INTERNET_DISCONNECTED") as page:
        stage.groups, stage.history, stage.stored_up_to = ["g", "h"], [message(1, "said before")], 1
        await page.clock.install()
        await stage.open(page)
        await expect(page.locator("#messages")).to_contain_text("said before")
        await page.context.set_offline(True)
        await page.get_by_role("button", name="Group h").click()
        await expect(page.locator("#room-facts")).to_have_text("The server does not answer.")
        await page.context.set_offline(False)
        await page.clock.run_for(60_000)
        await expect(page.locator("#messages")).to_contain_text("said before")
        await expect(page.locator("#room-facts")).to_have_text("")


async def test_a_group_that_is_opened_often_while_history_is_away_is_not_asked_for_more_often(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        stage.groups = ["g", "h"]
        stage.refused["/chat/h/message"] = HISTORY_UNAVAILABLE
        await page.clock.install(time=0)
        await stage.open(page)
        await page.clock.pause_at(3_600)
        for name in 10 * ["Group h", "Group g"]:
            await page.get_by_role("button", name=name).click()
        await eventually("all are answered", lambda: stage.reads >= 11)
        before = stage.reads
        await page.clock.run_for(6_000)
        await eventually("it is asked for again", lambda: stage.reads > before)
        await page.evaluate("fetch('/web/icon.svg').then((answer) => answer.text())")
        assert stage.reads <= before + 2


async def test_on_a_phone_the_members_cover_the_messages_until_they_are_closed(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Group g").click()
        box = page.get_by_label("Message", exact=True)
        opens = page.get_by_role("button", name="Members", exact=True)
        closes = page.get_by_role("button", name="Close the members")
        for by_key in (False, True):
            await opens.click()
            await expect(closes).to_be_focused()
            await expect(box).to_be_hidden()
            assert await fits(page)
            assert await page.evaluate("people.clientWidth") == PHONE
            await (page.keyboard.press("Escape") if by_key else closes.click())
            await expect(opens).to_be_focused()
            await expect(box).to_be_visible()
            assert await page.evaluate("messages.clientWidth") == PHONE


async def test_what_is_said_behind_the_members_on_a_phone_is_unread_until_they_are_closed(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Group g").click()
        await page.get_by_role("button", name="Members", exact=True).click()
        await stage.tell("chat message", message(1, "behind"))
        await expect(page.locator("#groups .unread")).to_have_text("1")
        await page.keyboard.press("Escape")
        await expect(page.locator("#groups .unread")).to_have_text("0")


async def test_what_was_refused_can_be_edited_and_is_sent_as_another_message(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        box = page.get_by_label("Message", exact=True)
        await box.fill("too long")
        await box.press("Enter")
        await expect(page.locator(".mine.pending")).to_contain_text("sending")
        edit = page.get_by_role("button", name="Edit")
        await expect(edit).to_be_hidden()
        await box.fill("half written")
        row = TOO_LARGE
        await stage.acks.put({"error": {"code": row.code, "message": row.message, "request_id": "r"}})
        await expect(page.locator(".mine.failed")).to_contain_text(row.message)
        await edit.click()
        await expect(box).to_be_focused()
        await expect(box).to_have_value("too long\nhalf written")
        await expect(page.locator(".mine")).to_have_count(0)
        await box.fill("short")
        await box.press("Enter")
        await stage.acks.put({"id": "any", "seq": 7, "timestamp": 1_700_000_000_000})
        await expect(page.locator(".mine:not(.pending)")).to_contain_text("short")
        await expect(edit).to_be_hidden()
