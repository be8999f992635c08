"""What the web client shows besides messages: what is unread, unsent or not there, and where links lead."""

from dataclasses import replace

import pytest
from playwright.async_api import Browser, expect

from schemas.refusals import HISTORY_UNAVAILABLE, UNAVAILABLE
from tests.browser.browsers import page_in
from tests.browser.chat_stage import UP, a_stage, message
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


async def test_the_title_tells_what_is_unread_also_where_nothing_is_painted(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        await expect(page).to_have_title("Uni4all Chat")
        await page.evaluate("window.requestAnimationFrame = () => {}")  # as in a hidden tab
        await stage.tell("chat message", message(1, "olá", room="h"))
        await expect(page).to_have_title("(1) Uni4all Chat")
        await page.get_by_role("button", name="Group h").click()
        await expect(page).to_have_title("Uni4all Chat")


async def test_a_draft_is_seen_from_other_groups(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        await page.get_by_label("Message", exact=True).fill("for g")
        await expect(page.locator("#groups .preview").first).to_have_text("Nothing yet")
        await page.get_by_role("button", name="Group h").click()
        await expect(page.locator("#groups .preview").first).to_have_text("Draft: for g")


async def test_web_addresses_are_links_and_everything_else_is_text(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        text = (
            'See (https://up.pt/a?b=c&d="e), <a href="x">http://</a> or javascript:alert(1) HTTPS://FEUP.PT. '
            "(And https://pt.wikipedia.org/wiki/Porto_(cidade).)"
        )
        await stage.tell("chat message", message(1, text))
        await expect(page.locator("#messages bdi")).to_have_text(text)
        links = page.locator("#messages a")
        addresses = ['https://up.pt/a?b=c&d="e', "http://</a", "HTTPS://FEUP.PT"]
        await expect(links).to_have_text([*addresses, "https://pt.wikipedia.org/wiki/Porto_(cidade)"])
        for link in await links.all():
            assert (await link.get_attribute("rel")) == "noopener noreferrer"
            assert str(await link.get_attribute("href")).lower().startswith("http")


async def test_who_has_no_group_or_no_messages_is_told_so(browser: Browser) -> None:
    told = "(list) => getComputedStyle(list, '::after').content"
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = []
        await stage.open(page)
        await expect(page.locator("#empty")).to_be_hidden()
        assert "no group yet" in await page.locator("#groups").evaluate(told)
        await stage.tell("joined", {"rooms": {"g": {"head": -1, "recovered": True, "missed": 0}}})
        await page.locator("#groups button").click()
        await expect(page.locator("#messages.nothing")).to_be_visible()
        assert "Nothing was said" in await page.locator("#messages").evaluate(told)
        await stage.tell("chat message", message(1, "olá"))
        await expect(page.locator("#messages.nothing")).to_have_count(0)


async def test_a_selection_of_messages_is_who_wrote_them_and_their_texts(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.names = {"up202000002": "Ana Silva"}
        stage.history, stage.stored_up_to = [message(0, "bom dia"), message(1, "olá", up=UP)], 1
        await stage.open(page)
        await expect(page.locator("#messages .who").first).to_have_text("Ana Silva")
        await page.evaluate("getSelection().selectAllChildren(messages)")
        day, *said = (await page.evaluate("getSelection().toString()")).splitlines()
        assert day
        assert said == ["Ana Silva", "bom dia", "You", "olá"]


async def test_days_of_other_years_tell_their_year(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history = stage.newest = [message(0, "said in 2023")]
        stage.stored_up_to = 0
        await stage.open(page)
        await expect(page.locator("#messages .day")).to_contain_text("2023")
        await expect(page.locator("#groups time")).to_contain_text("2023")
        await stage.tell("chat message", message(1, "now", timestamp=await page.evaluate("Date.now()")))
        await expect(page.locator("#messages .day")).to_have_count(2)
        year = await page.evaluate("String(new Date().getFullYear())")
        await expect(page.locator("#messages .day").last).not_to_contain_text(year)


async def test_members_leave_a_room_no_narrower_than_it_can_be_read(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, 768) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Members").click()
        assert await page.locator("#people").evaluate("(people) => people.clientWidth") > 400
        await expect(page.locator("#messages")).to_be_hidden()
        await expect(page.locator("#groups")).to_be_visible()
        await page.get_by_role("button", name="Close the members").click()
        await expect(page.locator("#messages")).to_be_visible()


async def test_what_was_said_last_in_each_group_is_shown_once_it_can_be_read(browser: Browser) -> None:
    """It was tried once: until the page was loaded again, nothing had ever been said in any group."""
    row = HISTORY_UNAVAILABLE
    async with a_stage() as stage, page_in(browser, forgiven=str(row.status)) as page:
        stage.groups, stage.newest = ["g", "h"], [message(1, "olá", room="h")]
        stage.refused["/chat/message"] = row
        await stage.open(page)
        preview = page.get_by_role("button", name="Group h").locator(".preview")
        await expect(preview).to_be_empty()
        stage.refused.clear()
        await expect(preview).to_contain_text("olá")


async def test_a_group_that_an_edge_tells_of_gets_its_name_once_that_can_be_read(browser: Browser) -> None:
    """It was tried once: its id stood in its place until the page was loaded again."""
    row = UNAVAILABLE
    async with a_stage() as stage, page_in(browser, forgiven=str(row.status)) as page:
        await stage.open(page)
        await expect(page.locator("#status")).to_contain_text("edge-1")
        stage.refused["/chat/group"] = row
        stage.groups.append("h")
        await stage.tell("joined", {"rooms": {"h": {"head": -1, "recovered": True, "missed": 0}}})
        await expect(page.locator("#groups .name")).to_have_text(["Group g", "h"])
        stage.refused.clear()
        await expect(page.locator("#groups .name")).to_have_text(["Group g", "Group h"])


async def test_a_group_that_an_edge_tells_of_before_the_gateway_gets_its_name(browser: Browser) -> None:
    """Behind a proxy the next request goes to another gateway: every fifth group was shown by its id."""
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        await expect(page.locator("#status")).to_contain_text("edge-1")
        async with page.expect_response("**/chat/group"):
            await stage.tell("joined", {"rooms": {"h": {"head": -1, "recovered": True, "missed": 0}}})
        stage.groups.append("h")
        stage.newest = [message(1, "olá", room="h")]
        await expect(page.locator("#groups .name")).to_have_text(["Group h", "Group g"])
        await expect(page.locator("#groups .preview").first).to_contain_text("olá")


async def test_what_was_said_last_is_asked_for_again_once_and_no_sooner_than_the_gateway_says(
    browser: Browser,
) -> None:
    """Each group that an edge told of meanwhile added a loop of its own, which began with a try at once."""
    row, hour_ms = replace(HISTORY_UNAVAILABLE, retry_after_s=3600), 3_600_000
    async with a_stage() as stage, page_in(browser, forgiven=str(row.status)) as page:
        tries: list[str] = []
        page.on("request", lambda asked: tries.append(asked.url) if "?perPage=1" in asked.url else None)
        stage.refused["/chat/message"] = row
        await page.clock.install()
        await stage.open(page)
        for at, group in enumerate("hi", start=2):
            await eventually("it was tried", lambda at=at: len(tries) >= at - 1)  # type: ignore[misc]
            stage.groups.append(group)
            await stage.tell("joined", {"rooms": {group: {"head": -1, "recovered": True, "missed": 0}}})
            await expect(page.locator("#groups .name").last).to_have_text(f"Group {group}")
        await eventually("it was tried for each", lambda: len(tries) >= 3)
        assert len(tries) == 3
        stage.refused.clear()
        stage.newest = [message(1, "olá", room="h")]
        await page.clock.run_for(hour_ms)
        await expect(page.locator("#groups .preview").first).to_contain_text("olá")
        assert len(tries) == 4
