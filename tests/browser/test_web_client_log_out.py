"""A student who logs out leaves nothing on the page for whoever logs in next in the same tab."""

import asyncio
from functools import partial

import jwt
import pytest
from playwright.async_api import Browser, Page, Route, expect

from schemas.refusals import HISTORY_UNAVAILABLE, OVERLOADED
from tests.browser.browsers import page_in
from tests.browser.chat_stage import TOKEN, UP, a_stage, message, say
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

NEXT_UP = "up202000003"
NEXT = jwt.encode({"sub": NEXT_UP}, "nobody looks at the signature here 0123456789")


@pytest.mark.parametrize("is_expired", [False, True], ids=["by choice", "by an expired token"])
async def test_who_logs_in_next_sees_nothing_of_who_was_there(browser: Browser, is_expired: bool) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members li")).to_have_count(2)
        await stage.tell("chat message", message(7, "for your eyes only"))
        await expect(page.locator("#messages")).to_contain_text("for your eyes only")
        await page.get_by_label("Message", exact=True).fill("a draft")
        if is_expired:
            await stage.expire()
        else:
            await page.get_by_role("button", name="Log out").click()
        await expect(page.get_by_label("Token", exact=True)).to_be_focused()
        stage.groups = []
        await page.get_by_label("Token", exact=True).fill(NEXT)
        await page.get_by_role("button", name="Open my chats").click()
        await expect(page.locator("#my-name")).to_have_text("up202000003")
        for left in ("messages", "members", "groups"):
            await expect(page.locator(f"#{left} > *")).to_have_count(0)
        await expect(page.locator("#room-name")).to_have_text("")
        await expect(page.locator("#text")).to_have_value("")
        await expect(page.locator("#compose")).to_be_hidden()


async def test_a_group_that_was_made_for_who_has_logged_out_is_not_shown_to_the_next(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        asked, may_answer = asyncio.Event(), asyncio.Event()

        async def late(route: Route) -> None:
            if route.request.method != "POST":
                await route.continue_()
                return
            asked.set()
            await may_answer.wait()
            await route.fulfill(json={"id": "secret", "name": "Secret", "users": [], "stored": True})

        await page.route("**/chat/group", late)
        await stage.open(page)
        await page.get_by_role("button", name="New group").click()
        await page.get_by_label("Name", exact=True).fill("Secret")
        await page.get_by_role("button", name="Create").click()
        await asked.wait()
        await stage.expire()
        await page.get_by_label("Token", exact=True).fill(NEXT)
        await page.get_by_role("button", name="Open my chats").click()
        await expect(page.locator("#groups .name")).to_have_text(["Group g"])
        async with page.expect_request_finished(lambda request: request.method == "POST"):
            may_answer.set()
        await page.evaluate("new Promise((done) => setTimeout(done))")
        await expect(page.locator("#groups .name")).to_have_text(["Group g"])


async def test_what_could_not_be_read_for_who_has_logged_out_is_no_error_of_the_next(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="ERR_FAILED") as page:
        asked, may_fail = asyncio.Event(), asyncio.Event()

        async def lost(route: Route) -> None:
            if asked.is_set():
                await route.continue_()
                return
            asked.set()
            await may_fail.wait()
            await route.abort()

        await page.route("**/chat/group/g", lost)
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        await asked.wait()
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Token", exact=True).fill(NEXT)
        await page.get_by_role("button", name="Open my chats").click()
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members li")).to_have_count(2)
        async with page.expect_event("requestfailed"):
            may_fail.set()
        await page.evaluate("new Promise((done) => setTimeout(done))")
        await expect(page.locator("#people-error")).to_be_hidden()


async def test_whoever_logs_in_next_is_named_also_while_names_for_who_was_there_are_waited_for(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        names = "/chat/group/g/member"
        stage.users["g"], stage.names = [UP, NEXT_UP], {NEXT_UP: "Rui"}
        stage.refused[names] = HISTORY_UNAVAILABLE
        await page.clock.install(time=0)
        await stage.open(page)
        await eventually("names were asked for", lambda: stage.reads_of_names == 1)
        await page.clock.pause_at(3_600)
        del stage.refused[names]
        await page.get_by_role("button", name="Log out").click()
        await page.get_by_label("Token", exact=True).fill(NEXT)
        await page.get_by_role("button", name="Open my chats").click()
        await expect(page.locator("#my-name")).to_have_text("Rui")
        asked = stage.reads_of_names
        await page.clock.run_for(20_000)
        await page.evaluate("fetch('/web/icon.svg').then((answer) => answer.text())")
        assert stage.reads_of_names == asked


async def test_what_was_written_when_the_token_expired_waits_for_the_same_student(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await _write_and_begin_another(page)
        await eventually("it was sent", partial(stage.has_heard, 1))
        for times in (2, 3):
            await stage.expire()
            await _log_in(page, "nobody's token")
            await _log_in(page, TOKEN)
            await expect(page.get_by_label("Message", exact=True)).to_have_value("a draft")
            await expect(page.locator(".mine.pending")).to_contain_text("on its way")
            await eventually("it is sent again", partial(stage.has_heard, times))
        assert len({said["id"] for said in stage.said}) == 1
        for _ in stage.said:  # those who asked before are gone
            await stage.acks.put({"id": "any", "seq": 7, "timestamp": 1_700_000_000_000})
        await expect(page.locator(".mine:not(.pending)")).to_contain_text("on its way")
        await expect(page.locator(".mine")).to_have_count(1)


@pytest.mark.parametrize("is_expired", [False, True], ids=["by choice", "by an expired token"])
async def test_what_was_written_is_gone_once_the_token_is_forgotten_or_another_student_came(
    browser: Browser, is_expired: bool
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await _write_and_begin_another(page)
        if is_expired:
            await stage.expire()
            await _log_in(page, NEXT)
            await expect(page.locator("#my-name")).to_have_text(NEXT_UP)
            await _expect_nothing_written(page)
        await page.get_by_role("button", name="Log out").click()
        await _log_in(page, TOKEN)
        await expect(page.locator("#my-name")).to_have_text(UP)
        await _expect_nothing_written(page)


async def test_what_was_to_be_sent_once_more_is_not_sent_as_whoever_logs_in_next(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.clock.install(time=0)
        await stage.open(page)
        await page.clock.pause_at(3_600)
        await _write_and_begin_another(page)
        row = OVERLOADED
        await stage.acks.put({"error": {"code": row.code, "message": row.message, "request_id": "r"}})
        while await page.locator(".mine .state").text_content() != "waiting to be sent":
            await page.clock.run_for(20)
        await page.get_by_role("button", name="Log out").click()
        before = stage.sid
        await _log_in(page, NEXT)
        await eventually("the next has come", lambda: stage.sid != before)
        await expect(page.locator("#status")).to_contain_text("edge-1")
        await page.clock.run_for(5_000)
        await say(page, "my own")
        await eventually("the next has written", lambda: stage.said[-1]["message"] == "my own")
        assert [said["up"] for said in stage.said] == [UP, NEXT_UP]


async def _write_and_begin_another(page: Page) -> None:
    await say(page, "on its way")
    await expect(page.locator(".mine.pending")).to_contain_text("on its way")
    await page.get_by_label("Message", exact=True).fill("a draft")


async def _log_in(page: Page, token: str) -> None:
    await page.get_by_label("Token", exact=True).fill(token)
    await page.get_by_role("button", name="Open my chats").click()


async def _expect_nothing_written(page: Page) -> None:
    await expect(page.locator("#room-name")).to_have_text("Group g")
    await expect(page.locator("#text")).to_have_value("")
    await expect(page.locator(".mine")).to_have_count(0)
