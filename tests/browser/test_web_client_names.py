"""People are called by their names; where there is none, or the store is away, by their numbers."""

import pytest
from playwright.async_api import Browser, expect

from schemas.refusals import HISTORY_UNAVAILABLE
from tests.browser.browsers import page_in
from tests.browser.chat_stage import UP, a_stage, message

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="module")]

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


async def test_who_wrote_last_in_another_group_is_named_there_too(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser) as page:
        stage.groups, stage.users["h"], stage.names = ["g", "h"], [UP, UNNAMED], {UNNAMED: "Rui"}
        await stage.open(page)
        await stage.tell("chat message", message(1, "olá", up=UNNAMED, room="h"))
        await expect(page.locator("#groups")).to_contain_text("Rui: olá")


async def test_while_names_cannot_be_read_numbers_stand_for_people(browser: Browser) -> None:
    async with a_stage() as stage, page_in(browser, forgiven="503") as page:
        names = "/chat/group/g/member"
        stage.names, stage.refused[names] = {ANA: "Ana Ç."}, HISTORY_UNAVAILABLE
        await stage.open(page)
        await stage.tell("chat message", message(1, "olá", up=ANA))
        await expect(page.locator("#messages .who")).to_have_text(ANA)
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members .name")).to_have_text([f"{UP} (you)", ANA])
        await expect(page.locator("#people-error")).to_be_hidden()
        del stage.refused[names]
        await page.get_by_role("button", name="Close the members").click()
        await page.get_by_role("button", name="Members").click()
        await expect(page.locator("#members .name")).to_have_text(["Ana Ç.", f"{UP} (you)"])
        await expect(page.locator("#messages .who")).to_have_text("Ana Ç.")
