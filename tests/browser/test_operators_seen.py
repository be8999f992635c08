"""The operators' page for those who see little, or use a keyboard."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from types import SimpleNamespace
from typing import Any, Literal

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from playwright.async_api import Browser, Page, Route, expect
from pydantic import SecretStr

from dispatcher.routes import Operators
from dispatcher.settings import DispatcherSettings
from runtime.assignments import Assignments
from tests.browser.browsers import fits, least_contrast_of_borders, page_in

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


TOKEN = "only-for-tests-0123456789"
CIRCLE = 10**9

# Of each label on the circle, to each colour of its ground. A canvas knows all colours of CSS.
LEAST_CONTRAST_OF_LABELS = """() => {
    const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
    const light = (colour) => {
      canvas.fillStyle = colour;
      canvas.fillRect(0, 0, 1, 1);
      const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      const [red, green, blue] = [...canvas.getImageData(0, 0, 1, 1).data].map((part) => linear(part / 255));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    const contrast = (one, other) => Math.max(light(one) / light(other), light(other) / light(one));
    return Math.min(...[...document.querySelectorAll(".bar span:not(.thin)")].flatMap((label) => {
      const { color, backgroundColor, backgroundImage } = getComputedStyle(label);
      const hatched = backgroundImage.match(/(rgba?|color)\\([^)]*\\)/g);
      return (hatched ?? [backgroundColor]).map((ground) => contrast(color, ground));
    }));
}"""


@asynccontextmanager
async def _opened(browser: Browser, width: int = 1280) -> AsyncIterator[Page]:
    """Open the page where nobody leads."""
    app, settings = web.Application(), DispatcherSettings(dispatcher_token=SecretStr(TOKEN))
    Operators(settings, SimpleNamespace(leader=None), Assignments()).add_routes(app)  # type: ignore[arg-type]
    async with TestServer(app) as server, page_in(browser, width) as page:
        await page.goto(str(server.make_url("/")))
        yield page


async def _log_in(page: Page, *edges: dict[str, Any]) -> None:
    """See a leader's table: each edge holds as much of the circle as the others, and nobody the last part."""
    asked, part = 0, CIRCLE // (len(edges) + 1)
    holders = [*(edge["edge"] for edge in edges), None]
    shards = [
        {"shard": f"[{place}]", "start": place * part, "end": (place + 1) * part, "edge": holder}
        for place, holder in enumerate(holders)
    ]

    async def answer(route: Route) -> None:
        nonlocal asked
        asked += 1
        move = {"shard": "[0]", "from": "a", "to": "b", "reason": "drain", "age_s": 10 + asked}
        await route.fulfill(
            json={
                "leading": True,
                "leader": None,
                "epoch": 1,
                "version": 1,
                "edges": edges,
                "shards": shards,
                "moves": [move],
                "edges_serving": len(edges),
                "edges_wanted": None,
                "edges_asked": 0,
                "full_without_room": [],
            }
        )

    await page.route("**/table", answer)
    await page.get_by_label("Operators' token").fill(TOKEN)
    await page.keyboard.press("Enter")
    await expect(page.locator("#board")).to_be_visible()


def _edge(name: str, **other: Any) -> dict[str, Any]:
    edge = {
        "edge": name,
        "url": f"http://{name}",
        "namesake": None,
        "state": "serving",
        "asked_to_drain": False,
    }
    return {
        **edge,
        "connected": 5000,
        "capacity": 10_000,
        "messages_per_s": 100.0,
        "report_age_s": 1.0,
        **other,
    }


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_where_the_token_is_written_has_a_border_that_is_seen(
    browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    async with _opened(browser) as page:
        await page.emulate_media(color_scheme=scheme)
        assert await least_contrast_of_borders(page) >= 3


async def test_whoever_has_logged_in_is_where_the_page_begins(browser: Browser) -> None:
    async with _opened(browser) as page:
        await page.get_by_label("Operators' token").fill(TOKEN)
        await page.keyboard.press("Enter")
        await expect(page.get_by_role("heading", level=1)).to_be_focused()


async def test_a_move_that_was_selected_to_be_copied_stays_so_while_it_gets_older(browser: Browser) -> None:
    async with _opened(browser) as page:
        await _log_in(page, _edge("a"), _edge("b"))
        await page.locator("#moves li").evaluate("(move) => getSelection().selectAllChildren(move)")
        age = await page.locator("#moves time").inner_text()
        await expect(page.locator("#moves time")).not_to_have_text(age)
        assert "a → b" in await page.evaluate("getSelection().toString()")


async def test_the_moves_can_be_scrolled_by_keys_and_have_a_name(browser: Browser) -> None:
    async with _opened(browser) as page:
        await _log_in(page, _edge("a"))
        moves = page.get_by_role("list", name="Last moves")
        await moves.focus()
        await expect(moves).to_be_focused()


@pytest.mark.parametrize("width", [320, 390, 768])
async def test_nothing_covers_an_edge_s_name_or_is_wider_than_the_window(
    browser: Browser, width: int
) -> None:
    async with _opened(browser, width) as page:
        await _log_in(
            page,
            _edge("edge-1", namesake="http://other"),
            _edge("edge-2", state="draining", asked_to_drain=True, connected=0),
        )
        for name in await page.locator("#edges .name").all():
            assert await name.evaluate("(name) => name.scrollWidth <= name.clientWidth")
        assert await fits(page)


@pytest.mark.parametrize("scheme", ["light", "dark"])
async def test_who_holds_which_numbers_can_be_read_also_where_nobody_does(
    browser: Browser, scheme: Literal["light", "dark"]
) -> None:
    async with _opened(browser) as page:
        await page.emulate_media(color_scheme=scheme)
        await _log_in(page, *(_edge(f"edge-{number}") for number in range(60)))
        assert await page.evaluate(LEAST_CONTRAST_OF_LABELS) >= 4.5


async def test_where_the_system_sets_all_colours_edges_are_told_apart_and_buttons_are_seen(
    browser: Browser,
) -> None:
    async with _opened(browser) as page:
        await page.emulate_media(forced_colors="active")
        await _log_in(page, _edge("a"), _edge("b"))
        seen = "(shown) => shown.map((one) => getComputedStyle(one).backgroundColor)"
        grounds = await page.locator(".bar [data-edge=a], .bar [data-edge=b]").evaluate_all(seen)
        assert len(set(grounds)) == 2
        await expect(page.get_by_role("button", name="Drain a")).not_to_have_css("border-top-width", "0px")
