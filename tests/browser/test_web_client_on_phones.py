"""The web client on phones, and in Safari: where it is used that way, no browser of these tests runs."""

import pytest
from playwright.async_api import Browser, Page, expect

from tests.browser.browsers import page_in
from tests.browser.chat_stage import Stage, a_stage, message, read_further_up
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

PHONE = 390
FROM_END = """() => {
    const { scrollHeight, scrollTop, clientHeight } = document.getElementById("messages");
    return Math.round(scrollHeight - scrollTop - clientHeight);
}"""


async def test_the_end_stays_in_sight_while_a_keyboard_comes_and_what_is_said_then_is_seen(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await _open_a_long_group(stage, page)
        await page.set_viewport_size({"width": PHONE, "height": 420})
        await _is_at_the_end(page)
        await stage.tell("chat message", message(200, "said meanwhile"))
        await expect(page.locator("#messages")).to_contain_text("said meanwhile")
        await _is_at_the_end(page)
        await page.set_viewport_size({"width": PHONE, "height": 900})
        await _is_at_the_end(page)


async def test_whoever_reads_further_up_stays_there_while_a_keyboard_comes(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await _open_a_long_group(stage, page)
        await read_further_up(page, 500)
        await page.set_viewport_size({"width": PHONE, "height": 420})
        await stage.tell("chat message", message(200, "said meanwhile"))
        await expect(page.locator("#messages")).to_contain_text("said meanwhile")
        assert await page.locator("#messages").evaluate("(list) => list.scrollTop") == 500


async def test_the_box_is_as_high_as_its_text_also_where_css_does_not_size_fields(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, PHONE) as page:
        await _open_a_long_group(stage, page)
        box = page.get_by_label("Message", exact=True)
        await box.evaluate("(box) => { box.style.fieldSizing = 'fixed'; }")
        lines = "(box) => Math.round(box.clientHeight / parseFloat(getComputedStyle(box).lineHeight))"
        empty = await box.evaluate(lines)
        await box.fill("many words and no line break " * 4)
        assert await box.evaluate("(box) => box.scrollHeight <= box.clientHeight")
        assert await box.evaluate(lines) > empty
        await box.fill("many words and no line break " * 40)
        assert await box.evaluate("(box) => box.scrollHeight > box.clientHeight")
        assert await box.evaluate("(box) => box.getBoundingClientRect().height") < 200
        await box.press("Enter")
        assert await box.evaluate(lines) == empty


async def test_the_key_that_ends_a_composition_in_safari_sends_nothing(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await stage.open(page)
        box = page.get_by_label("Message", exact=True)
        await box.fill("にほん")
        key = {"key": "Enter", "keyCode": 229, "isComposing": False, "bubbles": True, "cancelable": True}
        await box.dispatch_event("keydown", key)
        await expect(box).to_have_value("にほん")
        await box.press("Enter")
        await expect(page.locator(".mine")).to_contain_text("にほん")


async def test_where_a_finger_points_no_field_is_so_small_that_safari_zooms_in(browser: Browser) -> None:
    async with a_stage() as stage:
        page = await browser.new_page(has_touch=True)
        await stage.open(page)
        sizes = await page.locator("input, textarea").evaluate_all(
            "(fields) => fields.map((field) => parseFloat(getComputedStyle(field).fontSize))"
        )
        await page.close()
    assert min(sizes) >= 16


async def test_where_a_finger_points_an_opened_group_is_read_and_no_keyboard_covers_it(
    browser: Browser,
) -> None:
    async with a_stage() as stage:
        stage.groups = ["g", "h"]
        page = await browser.new_page(has_touch=True)
        await stage.open(page)
        await page.get_by_role("button", name="Group h").tap()
        await expect(page.locator("#messages")).to_be_focused()
        await page.get_by_label("Message", exact=True).fill("olá")
        await page.get_by_role("button", name="Send").tap()
        await expect(page.get_by_label("Message", exact=True)).to_be_focused()
        await page.close()


async def _is_at_the_end(page: Page) -> None:
    async def holds() -> bool:
        return bool(await page.evaluate(FROM_END) == 0)

    await eventually("the end is in sight", holds)


async def _open_a_long_group(stage: Stage, page: Page) -> None:
    stage.history = [message(seq, f"message {seq}") for seq in range(100)]
    stage.stored_up_to = stage.head = 99
    await stage.open(page)
    await page.get_by_role("button", name="Group g").click()
    await expect(page.locator("#messages")).to_contain_text("message 99")
    await _is_at_the_end(page)
