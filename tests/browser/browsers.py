"""Chromium for tests: the system's own, because no browser comes with the packages."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import pytest
from playwright.async_api import Browser, Page, ViewportSize, async_playwright

# The shell has no windows: around each page the others draw one, with pages of its own, which costs more
# than most tests.
NAMES: Final = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
# Nothing but the page under test is asked for; tests run as root in containers, without a display.
FLAGS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

_LEAST_CONTRAST_OF_BORDERS: Final = """() => {
    const light = (colour) => {
      const linear = (part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4);
      const [red, green, blue] = colour.match(/[0-9]+/g).map((part) => linear(part / 255));
      return 0.2126 * red + 0.7152 * green + 0.0722 * blue + 0.05;
    };
    const ground = (node) => {
      const { backgroundColor } = getComputedStyle(node);
      return backgroundColor === "rgba(0, 0, 0, 0)" ? ground(node.parentElement) : backgroundColor;
    };
    const contrast = (one, other) => Math.max(light(one) / light(other), light(other) / light(one));
    const fields = [...document.querySelectorAll("input, textarea:not(#text), #box")];
    return Math.min(...fields.flatMap((field) => [field, field.parentElement].map((node) =>
      contrast(getComputedStyle(field).borderTopColor, ground(node)))));
}"""


@asynccontextmanager
async def a_browser() -> AsyncIterator[Browser]:
    """Run a browser. Skips where there is none."""
    browser_path = next((path for name in NAMES if (path := shutil.which(name))), None)
    if browser_path is None:
        pytest.skip(f"none of {', '.join(NAMES)} is here")
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=browser_path, args=list(FLAGS))
        try:
            yield browser
        finally:
            await browser.close()


@asynccontextmanager
async def page_in(browser: Browser, width: int = 1280, *, forgiven: str | None = None) -> AsyncIterator[Page]:
    """Open an empty page that shares nothing with others.

    At the end nothing may have gone wrong in it, but for errors that say ``forgiven``.
    """
    page = await browser.new_page(viewport=ViewportSize(width=width, height=900))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("console", lambda said: errors.append(said.text) if said.type == "error" else None)
    try:
        yield page
    finally:
        await page.close()
    wrong = [error for error in errors if forgiven is None or forgiven not in error]
    assert not wrong, wrong


@asynccontextmanager
async def page_of(width: int = 1280, *, forgiven: str | None = None) -> AsyncIterator[Page]:
    """Open a page in a browser of its own."""
    async with a_browser() as browser, page_in(browser, width, forgiven=forgiven) as page:
        yield page


async def fits(page: Page) -> bool:
    """Say whether the page is no wider than its window."""
    return bool(
        await page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    )


async def least_contrast_of_borders(page: Page) -> float:
    """Return the contrast to what is around it, of the field whose border is seen worst: 1 is not at all."""
    return float(await page.evaluate(_LEAST_CONTRAST_OF_BORDERS))


async def note_texts(page: Page, element: str) -> None:
    """Note each text that an element shows from now on: the page has them as `texts`."""
    await page.evaluate(
        """(element) => {
            window.texts = [];
            const noted = document.getElementById(element);
            new MutationObserver(() => texts.push(noted.textContent)).observe(noted, { childList: true });
        }""",
        element,
    )
