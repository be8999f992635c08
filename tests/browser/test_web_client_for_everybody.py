"""The web client for those who hear it, who see it large, or who write from right to left."""

from typing import Literal

import pytest
from playwright.async_api import Browser, Route, expect

from schemas.refusals import TOO_LARGE
from tests.browser.browsers import fits, least_contrast_of_borders, note_texts, page_in
from tests.browser.chat_stage import UP, a_stage, message, read_further_up, say
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

PHONE = 390

# What comes into a part of the page that is read aloud by itself, as a screen reader would take it.
NOTE_WHAT_IS_HEARD = """
    const noted = [];
    const isHeard = (node) => {
      const live = node.parentElement?.closest("[aria-live], [role=status], [role=log], [role=alert]");
      return Boolean(live) && live.getAttribute("aria-live") !== "off";
    };
    const watch = new MutationObserver((changes) => {
      for (const node of changes.flatMap(({ addedNodes }) => [...addedNodes]))
        if (isHeard(node)) noted.push(node.textContent);
    });
    watch.observe(document, { childList: true, subtree: true });
    window.heard = () => noted.join("\\n");
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_where_text_is_written_has_a_border_that_is_seen(
    browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.emulate_media(color_scheme=scheme)
        await stage.open(page)
        assert await least_contrast_of_borders(page) >= 3


async def test_where_the_system_sets_all_colours_the_open_group_is_told_from_others_and_buttons_are_seen(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await page.emulate_media(forced_colors="active")
        await stage.open(page)
        await expect(page.locator("#groups [aria-current=true]")).not_to_have_css("border-left-width", "0px")
        await expect(page.locator("#groups [aria-current=false]")).to_have_css("border-left-width", "0px")
        for button in ("Send", "Members", "Log out"):
            await expect(page.get_by_role("button", name=button)).not_to_have_css("border-top-width", "0px")


async def test_what_is_on_the_page_has_names_for_those_who_hear_it(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups = ["g", "h"]
        await stage.open(page)
        await stage.tell("chat message", message(1, "olá", room="h"))
        await expect(page.get_by_role("main")).to_be_visible()
        await expect(page.get_by_role("heading", level=1)).to_have_text(["Uni4all Chat", "Group g"])
        await expect(page.get_by_role("log", name="Group g")).to_be_visible()
        await expect(
            page.get_by_role("button", name="Group h").and_(page.get_by_role("button", name="1 unread"))
        ).to_be_visible()
        await page.get_by_role("button", name="New group").click()
        await expect(page.get_by_role("dialog", name="New group")).to_be_visible()


async def test_on_a_phone_an_open_group_has_a_heading_of_the_first_level(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Group g").click()
        await expect(page.get_by_role("heading", level=1)).to_have_text("Group g")


async def test_whose_a_message_is_is_also_heard_where_it_is_mine(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history = [message(1, "theirs"), *(message(seq, "mine", up=UP) for seq in range(2, 60))]
        stage.stored_up_to = 59
        await stage.open(page)
        await expect(page.locator(".mine.first")).to_contain_text("You")
        assert await fits(page)
        assert await page.evaluate("document.documentElement.scrollHeight <= innerHeight")


async def test_who_hears_the_page_hears_what_is_said_now_and_not_what_was_said_before(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history, stage.stored_up_to = [message(seq, f"text {seq}") for seq in range(120)], 119
        stage.names, stage.head = {"up202000002": "João"}, 119
        await page.add_init_script(NOTE_WHAT_IS_HEARD)
        await stage.open(page)
        shown = page.locator("#messages .bubble")
        await expect(page.locator("#messages .who").first).to_have_text("João")
        await read_further_up(page, 0)
        await expect(shown).to_have_count(100)
        assert "text" not in await page.evaluate("heard()")
        await stage.tell("chat message", message(120, "said now"))
        await expect(shown.last).to_contain_text("said now")
        await page.wait_for_function("heard().endsWith('João: said now')")


async def test_who_hears_the_page_hears_that_a_message_was_refused(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.add_init_script(NOTE_WHAT_IS_HEARD)
        await stage.open(page)
        await say(page, "olá")
        await stage.acks.put({"error": {"code": TOO_LARGE.code, "message": TOO_LARGE.message}})
        await expect(page.locator(".mine.failed")).to_be_visible()
        await page.wait_for_function("(why) => heard().endsWith(why)", arg=TOO_LARGE.message)


async def test_of_a_burst_the_last_messages_are_heard_and_no_group_s_in_another(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.users["h"] = ["g", "h"], [UP]
        await stage.open(page)
        for seq in range(50):
            await stage.tell("chat message", message(seq, f"text {seq}"))
        heard = page.locator("[aria-live=polite] p")
        await expect(heard.last).to_contain_text("text 49")
        assert await heard.count() < 10
        await page.get_by_role("button", name="Group h").click()
        await expect(heard).to_have_count(0)


async def test_on_a_phone_too_who_reads_sees_that_the_connection_is_lost_and_hears_it_once(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, PHONE, forgiven="ERR_FAILED") as page:
        await page.clock.install()
        await stage.open(page)
        await page.get_by_role("button", name="Group g").click()
        tries = 0

        async def lost(route: Route) -> None:
            nonlocal tries
            tries += 1
            await route.abort()

        await page.route("**/chat/location", lost)
        await note_texts(page, "status")
        await stage.lose()
        await expect(page.locator("#lost")).to_be_visible()
        while tries < 4:
            await page.clock.run_for(5_000)
        assert await page.evaluate("texts") == ["Connecting again"]
        await page.unroute("**/chat/location")
        await page.clock.run_for(60_000)
        await eventually("it is back", lambda: len(stage.sinces) == 2)
        await expect(page.locator("#lost")).to_be_hidden()


async def test_the_box_grows_with_a_text_that_is_wider_than_it(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await stage.open(page)
        await page.get_by_role("button", name="Group g").click()
        box = page.get_by_label("Message", exact=True)
        before = await box.evaluate("(box) => box.clientHeight")
        await box.fill("long " * 30)
        assert await box.evaluate("(box) => box.clientHeight") > 2 * before


async def test_no_text_turns_the_time_behind_it_round(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history, stage.stored_up_to = (
            [message(1, "\u202eabc"), message(2, "abc \u0623\u0647\u0644\u0627")],
            2,
        )
        await stage.open(page)
        for bubble in await page.locator(".bubble").all():
            end = await bubble.evaluate("(bubble) => bubble.getBoundingClientRect().right")
            time = await bubble.locator("time").evaluate("(time) => time.getBoundingClientRect().right")
            assert end - time < 20


async def test_who_wants_letters_twice_as_large_gets_messages_so_too(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.history, stage.stored_up_to = [message(1, "olá")], 1
        await stage.open(page)
        bubble = page.locator(".bubble")
        await expect(bubble).to_have_css("font-size", "15px")
        await page.evaluate("document.documentElement.style.fontSize = '200%'")
        await expect(bubble).to_have_css("font-size", "30px")
        assert await fits(page)
