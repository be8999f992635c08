"""An operator looks at the dispatcher's page, drains an edge by its button, and the clients move."""

import aiohttp
import pytest
from playwright.async_api import expect

from deploy.demo.local_system import LocalSystem
from loadtest.chat_client import ChatClient
from loadtest.rest import RestApi
from loadtest.seen_frames import SeenFrames
from loadtest.students import Students
from schemas.up_number import CIRCLE, up_at
from tests.browser.browsers import fits, page_of
from tests.waiting import eventually

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(180)]

STUDENTS = 12


async def test_an_edge_is_drained_by_its_button_its_clients_move_and_it_serves_again(
    local_system: LocalSystem,
) -> None:
    page_url = local_system.services["dispatcher"].ops_url
    async with page_of() as page, aiohttp.ClientSession() as session:
        api, seen = RestApi(session, local_system.public_url), SeenFrames()
        clients = [
            ChatClient(up, local_system.mint_token(up), locate=api.locate, seen=seen)
            for up in (up_at(n * CIRCLE // STUDENTS) for n in range(STUDENTS))
        ]
        async with Students(clients) as students:
            await students.connect()
            await page.goto(page_url)
            await page.get_by_label("Operators' token").fill(local_system.dispatcher_token)
            await page.get_by_role("button", name="Open").click()

            drained = page.get_by_role("row").filter(has_text="edge-1")
            other = page.get_by_role("row").filter(has_text="edge-2")
            await expect(drained).to_contain_text("serving")
            # A connection that another test has left without a word goes with its ping.
            await expect(page.locator("#clients")).to_have_text(str(STUDENTS), timeout=60_000)
            await expect(page.locator("#circle li")).to_have_count(10)
            await drained.get_by_role("button", name="Drain").click()
            await drained.get_by_role("button", name="Really?").click()
            await expect(drained).to_contain_text("drained", timeout=30_000)
            await expect(other).to_contain_text(f"{STUDENTS} of 10,000", timeout=30_000)
            assert {student.connections for student in clients} == {1, 2}
            assert {await api.locate(student.token) for student in clients} == {
                local_system.edge_urls["edge-2"]
            }
            await expect(page.locator("#moves")).to_contain_text("draining")

            await drained.get_by_role("button", name="Serve again").click()
            await expect(drained).to_contain_text("serving", timeout=30_000)
            await eventually(
                "both edges have clients", lambda: sum(one.connections for one in clients) > 2 * STUDENTS - 6
            )
            assert local_system.dispatcher_token not in page.url


async def test_a_wrong_token_shows_nothing_and_says_so(local_system: LocalSystem) -> None:
    async with page_of(forgiven="401") as page:
        await page.goto(local_system.services["dispatcher"].ops_url)
        await page.get_by_label("Operators' token").fill("not the operators' token")
        await page.get_by_role("button", name="Open").click()
        await expect(page.get_by_role("alert").filter(has_text="not the operators'")).to_be_visible()
        await expect(page.locator("#board")).to_be_hidden()


@pytest.mark.parametrize("width", [1280, 390])
async def test_the_page_fits_a_desk_and_a_phone(local_system: LocalSystem, width: int) -> None:
    async with page_of(width=width) as page:
        await page.goto(local_system.services["dispatcher"].ops_url)
        assert await fits(page)
        await page.get_by_label("Operators' token").fill(local_system.dispatcher_token)
        await page.get_by_role("button", name="Open").click()
        await expect(page.get_by_role("row").filter(has_text="edge-2")).to_be_visible()
        assert await fits(page)
