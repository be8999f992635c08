"""A group that a student makes is made once, one is left by who means to, and one that has ended goes."""

import asyncio
from typing import Any

import orjson
import pytest
from playwright.async_api import Browser, Page, Route, expect

from schemas.refusals import UNAVAILABLE
from tests.browser.browsers import page_in
from tests.browser.chat_stage import UP, a_stage, message, say
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


async def test_a_group_that_is_made_again_after_no_answer_is_the_same(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        asked: list[dict[str, Any]] = []

        async def make(route: Route) -> None:
            if route.request.method != "POST":
                await route.continue_()
                return
            asked.append(orjson.loads(route.request.post_data or ""))
            if len(asked) == 1:
                row = UNAVAILABLE
                error = {"code": row.code, "message": row.message}
                await route.fulfill(status=row.status, json={"error": error})
            else:
                made = {"id": f"made-{len(asked)}", **asked[-1]}
                await route.fulfill(json={**made, "stored": True})

        await page.route("**/chat/group", make)
        await stage.open(page)
        await _name_a_new_group(page, "Study")
        await expect(page.locator("#new-group-error")).to_have_text(UNAVAILABLE.message)
        # It was made nevertheless: its members hear so.
        joined = {"head": -1, "recovered": True, "missed": 0}
        await stage.tell("joined", {"rooms": {asked[0].get("id", "made"): joined}})
        await expect(page.locator("#groups li")).to_have_count(2)
        await page.get_by_label("Name", exact=True).fill("Study group")
        await page.get_by_role("button", name="Create").click()
        await expect(page.locator("#room-name")).to_have_text("Study group")
        await expect(page.locator("#groups li")).to_have_count(2)
        await _name_a_new_group(page, "Another")
        await expect(page.locator("#room-name")).to_have_text("Another")
        first, again, another = (one["id"] for one in asked)
        assert first == again != another


async def _name_a_new_group(page: Page, name: str) -> None:
    await page.get_by_role("button", name="New group").click()
    await page.get_by_label("Name", exact=True).fill(name)
    await page.get_by_role("button", name="Create").click()


async def test_who_leaves_a_group_is_asked_once_more_and_may_stay(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        left: list[str] = []

        async def leave(route: Route) -> None:
            left.append(f"{route.request.method} {route.request.url.removeprefix(stage.url)}")
            await route.fulfill(json={"group": "g", "up": UP, "member": False, "stored": True})

        await page.route("**/chat/group/g/member/*", leave)
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        button = page.get_by_role("button", name="Leave this group")
        question = page.get_by_role("alertdialog", name="Leave Group g?")
        for no in ("Escape", "Enter"):
            await button.press("Enter")
            await expect(question.get_by_role("button", name="Stay")).to_be_focused()
            await page.keyboard.press(no)
            await expect(question).to_be_hidden()
            await expect(button).to_be_focused()
        assert left == []
        await button.press("Enter")
        await page.keyboard.press("Tab")
        await expect(question.get_by_role("button", name="Leave")).to_be_focused()
        await page.keyboard.press("Enter")
        await eventually("it is left", lambda: left == [f"DELETE chat/group/g/member/{UP}"])
        await expect(page.locator("#groups li")).to_have_count(0)


async def test_the_question_whether_to_leave_ends_with_the_room(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        await page.get_by_role("button", name="Leave this group").click()
        await expect(page.get_by_role("alertdialog")).to_be_visible()
        await stage.expire()
        await expect(page.get_by_role("alertdialog")).to_be_hidden()
        await expect(page.get_by_label("Token", exact=True)).to_be_focused()


async def test_who_was_removed_from_a_group_while_away_no_longer_sees_it(browser: Browser) -> None:
    """No edge tells so. An edge may also be late: what the gateway says to be theirs stays."""
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "late", "ended"]
        await stage.open(page)
        await expect(page.locator("#groups li")).to_have_count(3)
        await stage.tell("chat message", message(1, "olá"))
        await expect(page.locator("#groups")).to_contain_text("olá")

        async def say_groups(route: Route) -> None:
            await route.fulfill(json={"groups": [{"id": "late", "name": "Group late"}]})

        await page.route("**/chat/group", say_groups)
        stage.groups = ["g"]
        await stage.lose()
        await expect(page.locator("#groups li")).to_have_count(2)
        await expect(page.locator("#groups")).not_to_contain_text("Group ended")


async def test_a_group_that_is_made_while_ended_ones_are_looked_for_stays(browser: Browser) -> None:
    """The answer is older than the group, and does not name it."""
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await stage.tell("chat message", message(1, "olá"))
        await expect(page.locator("#groups")).to_contain_text("olá")
        reads, made = asyncio.Event(), asyncio.Event()

        async def say_groups(route: Route) -> None:
            if route.request.method == "POST":
                await route.fulfill(json={**orjson.loads(route.request.post_data or ""), "stored": True})
                return
            reads.set()
            await made.wait()
            await route.fulfill(json={"groups": []})

        await page.route("**/chat/group", say_groups)
        nothing = {"messages": [], "storedUpTo": 0}
        await page.route("**/chat/*/message*", lambda route: route.fulfill(json=nothing))
        await page.route("**/member?*", lambda route: route.fulfill(json={"users": [], "nextPage": None}))
        stage.groups = ["other"]
        await stage.lose()
        await reads.wait()
        await _name_a_new_group(page, "Study")
        await expect(page.locator("#room-name")).to_have_text("Study")
        made.set()
        await expect(page.locator("#groups")).not_to_contain_text("Group g")
        await expect(page.locator("#room-name")).to_have_text("Study")
        await expect(page.locator("#groups")).to_contain_text("Study")


async def test_a_group_that_was_left_and_is_listed_again_takes_messages_once_the_edge_has_named_it_again(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        groups, how = page.locator("#groups li"), {"head": -1, "recovered": True, "missed": 0}
        await stage.open(page)
        await expect(groups).to_have_count(2)
        await stage.tell("left", {"room": "h"})
        await expect(groups).to_have_count(1)
        stage.groups = ["g", "h", "new"]
        await stage.tell("joined", {"rooms": {"new": how}})
        await expect(groups).to_have_count(3)
        for group, text in (("h", "early"), ("g", "later")):
            await groups.filter(has_text=f"Group {group}").click()
            await expect(page.locator("#room-name")).to_have_text(f"Group {group}")
            await say(page, text)
        await eventually("what came later is heard", lambda: stage.has_heard(1))
        await stage.tell("joined", {"rooms": {"h": how}})
        await eventually("both are heard", lambda: stage.has_heard(2))
        assert [said["message"] for said in stage.said] == ["later", "early"]
