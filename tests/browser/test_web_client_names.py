"""People are called by their names; where there is none, or the store is away, by their numbers."""

from typing import Any

import pytest
from playwright.async_api import Browser, Page, Request, expect

from schemas.refusals import HISTORY_UNAVAILABLE
from tests.browser.browsers import page_in
from tests.browser.chat_stage import UP, Stage, a_stage, message
from tests.waiting import eventually

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]

ANA, UNNAMED = "up202000002", "up202000003"


async def test_people_are_called_and_sorted_by_their_names_and_seen_to_be_online(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.users["g"] = [UP, ANA, UNNAMED]
        stage.names = {UP: "Eu Próprio", ANA: "Ana <b>Ç.</b>"}
        await stage.open(page)
        await expect(page.locator("#my-name")).to_have_text("Eu Próprio")
        await stage.tell("chat message", message(1, "olá", up=ANA))
        await stage.tell("chat message", message(2, "oi", up=UNNAMED))
        await expect(page.locator("#messages .who")).to_have_text(["Ana <b>Ç.</b>", UNNAMED])
        await expect(page.locator("#messages .avatar")).to_have_text(["A<", "003"])
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members .name")).to_have_text(
            ["Ana <b>Ç.</b>", "Eu Próprio (you)", UNNAMED]
        )
        await expect(page.locator("#members small")).to_have_text([ANA, UP, ""])
        online = page.locator("#members .online")
        assert [await one.is_visible() for one in await online.all()] == [True, True, False]
        await page.get_by_role("button", name="Close the members").click()
        await expect(page.locator("#groups .preview")).to_have_text(f"{UNNAMED}: oi")
        await stage.tell("chat message", message(3, "bom dia", up=ANA))
        await expect(page.locator("#groups .preview")).to_have_text("Ana: bom dia")


async def test_who_wrote_last_in_another_group_is_named_there_too(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.users["h"], stage.names = ["g", "h"], [UP, UNNAMED], {UNNAMED: "Rui"}
        await stage.open(page)
        await stage.tell("chat message", message(1, "olá", up=UNNAMED, room="h"))
        await expect(page.locator("#groups")).to_contain_text("Rui: olá")


async def test_who_wrote_last_is_named_where_a_group_was_there_before_and_where_one_is_let_into_it_later(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.users = ["g", "h"], {"g": [UP], "h": [UP, ANA], "i": [UP, UNNAMED]}
        stage.names = {ANA: "Ana", UNNAMED: "Rui"}
        stage.newest = [message(1, "olá", up=ANA, room="h")]
        await stage.open(page)
        await expect(page.locator("#groups")).to_contain_text("Ana: olá")
        stage.groups.append("i")
        stage.newest.append(message(2, "oi", up=UNNAMED, room="i"))
        await stage.tell("joined", {"rooms": {"i": {"head": 2, "recovered": True, "missed": 0}}})
        await expect(page.locator("#groups")).to_contain_text("Rui: oi")


async def test_who_is_called_nothing_by_the_log_goes_by_their_number(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.names = {ANA: ""}
        await stage.open(page)
        await eventually("names are read", lambda: stage.reads_of_names == 2)
        await stage.tell("chat message", message(1, "olá", up=ANA))
        await expect(page.locator("#messages .who")).to_have_text(ANA)
        await expect(page.locator("#messages .avatar")).to_have_text("002")


async def test_while_names_cannot_be_read_numbers_stand_for_people_and_no_message_asks_again(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        names = "/chat/group/g/member"
        stage.names, stage.refused[names] = {ANA: "Ana Ç."}, HISTORY_UNAVAILABLE
        await page.clock.install(time=0)
        await stage.open(page)
        await page.clock.pause_at(3_600)
        for seq, up in enumerate([ANA, UNNAMED, ANA, UNNAMED, "up202000004", ANA]):
            await _hear(stage, page, message(seq, f"olá {seq}", up=up))
        await expect(page.locator("#messages .who").first).to_have_text(ANA)
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members .name")).to_have_text([f"{UP} (you)", ANA])
        await expect(page.locator("#people-error")).to_be_hidden()
        assert stage.reads_of_names <= 2  # one more where it was refused before the clock moved on
        del stage.refused[names]
        await page.clock.run_for(10_000)
        await expect(page.locator("#members .name")).to_have_text(["Ana Ç.", f"{UP} (you)"])
        await page.clock.run_for(100)
        await expect(page.locator("#messages .who").first).to_have_text("Ana Ç.")


async def test_who_has_left_is_asked_for_once(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.users["g"], stage.names = [UP], {UP: "Eu Próprio"}
        under_way = _reads_of_names_under_way(page)
        await stage.open(page)
        await eventually("my name is read", lambda: stage.reads_of_names == 1)
        await _all_are_answered(page, under_way)
        for seq in range(5):
            await stage.tell("chat message", message(seq, f"olá {seq}", up=ANA))
            await expect(page.locator("#messages")).to_contain_text(f"olá {seq}")
            await _all_are_answered(page, under_way)
        assert stage.reads_of_names == 2


@pytest.mark.parametrize("then", ["a message", "an opening"])
async def test_who_has_no_name_yet_gets_it_once_it_is_stored(browser: Browser, then: str) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        await page.clock.install(time=0)
        under_way = _reads_of_names_under_way(page)
        await stage.open(page)
        await eventually("names are read", lambda: stage.reads_of_names == 2)
        await stage.tell("chat message", message(1, "olá", up=ANA))
        await expect(page.locator("#messages .who")).to_have_text(ANA)
        await _all_are_answered(page, under_way)
        stage.names = {ANA: "Ana Ç."}
        await page.clock.fast_forward(60_000)
        if then == "a message":
            await stage.tell("chat message", message(2, "oi", up=ANA))
        else:
            await page.get_by_role("button", name="Group g").click()
        await expect(page.locator("#messages .who").first).to_have_text("Ana Ç.")


async def test_who_never_gets_a_name_is_asked_for_less_and_less_often(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.users["g"] = [ANA]
        await page.clock.install(time=0)
        under_way = _reads_of_names_under_way(page)
        await stage.open(page)
        await eventually("names are read", lambda: stage.reads_of_names == 1)
        await _all_are_answered(page, under_way)
        for minute in range(1, 16):
            await page.clock.fast_forward(60_000)
            await _hear(stage, page, message(minute, f"minute {minute} ends", up=ANA))
            await _all_are_answered(page, under_way)
        assert stage.reads_of_names == 5, "at the start, and in minutes 1, 3, 7 and 15"


async def test_names_that_were_read_are_not_read_again_with_each_opening_of_their_group(
    browser: Browser,
) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.users["h"], stage.names = ["g", "h"], [UP], {UP: "Eu Próprio", ANA: "Ana Ç."}
        await stage.open(page)
        await eventually("g's names are read", lambda: stage.reads_of_names == 2)
        for opened, reads in (("h", 3), ("g", 3), ("h", 3), ("g", 3)):
            await page.get_by_role("button", name=f"Group {opened}").click()
            await eventually("h's names are read", lambda reads=reads: stage.reads_of_names == reads)  # type: ignore[misc]
            await page.evaluate("fetch('/web/icon.svg').then((answer) => answer.text())")
        assert stage.reads_of_names == 3
        await page.get_by_role("button", name="Members").click()
        await eventually("who is online is read", lambda: stage.reads_of_names == 5)


def _reads_of_names_under_way(page: Page) -> set[Request]:
    """Return what holds, from now on, the reads of names that are not answered yet."""
    under_way = set[Request]()
    page.on("request", lambda asked: under_way.add(asked) if "/member?" in asked.url else None)
    page.on("requestfinished", lambda answered: under_way.difference_update({answered}))
    return under_way


async def _all_are_answered(page: Page, under_way: set[Request]) -> None:
    """Wait until the page has taken each answer: from then on it counts the time until it asks again."""
    for _ in ("what was asked is known here", "what was answered is known there"):
        await page.evaluate("fetch('/web/icon.svg').then((answer) => answer.text())")
        await eventually("all are answered", lambda: not under_way)


async def _hear(stage: Stage, page: Page, said: dict[str, Any]) -> None:
    """Let the page hear a message and paint it, while its clock stands still."""
    await stage.tell("chat message", said)
    while said["message"] not in await page.locator("#messages").inner_text():
        await page.clock.run_for(20)
