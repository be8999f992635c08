"""The load test's report as people look at it."""

import pytest
from playwright.async_api import Browser, expect

from loadtest.report import page as report
from loadtest.scenario import Phase
from tests.browser.browsers import page_in
from tests.unit.loadtest.results import result

pytestmark = [pytest.mark.timeout(120), pytest.mark.asyncio(loop_scope="package")]


@pytest.mark.parametrize("runs", [1, 2])
async def test_all_of_it_is_the_page_s_main_part_and_each_column_has_a_name(
    browser: Browser, runs: int
) -> None:
    async with page_in(browser) as page:
        await page.set_content(report([result()] * runs))
        await expect(page.get_by_role("main").get_by_role("heading", level=1)).to_be_visible()
        assert all(await page.get_by_role("columnheader").all_inner_texts())


async def test_a_plot_tells_no_value_of_where_none_was_seen(browser: Browser) -> None:
    one = result()
    last = one.moments[-1].model_copy(update={"at": one.moments[-1].at + 60, "received": 0})
    async with page_in(browser) as page:
        await page.set_content(report([one.model_copy(update={"moments": [*one.moments, last]})]))
        plot = page.locator("figure").first
        box = await plot.locator("svg").bounding_box()
        assert box is not None
        await plot.locator("svg").hover(position={"x": box["width"] * 0.8, "y": box["height"] / 2})
        await expect(plot.locator("output")).to_contain_text("s: nothing")
        await plot.locator("svg").hover(position={"x": box["width"] * 0.1, "y": box["height"] / 2})
        await expect(plot.locator("output")).to_contain_text("p50")


async def test_no_text_of_a_plot_is_cut_off_at_its_edge(browser: Browser) -> None:
    one = result()
    last = one.moments[-1].model_copy(update={"at": 119})
    async with page_in(browser) as page:
        await page.set_content(report([one.model_copy(update={"moments": [*one.moments, last]})]))
        time = page.locator("figure").first.get_by_text("120 s", exact=True)
        await time.scroll_into_view_if_needed()
        box = await time.bounding_box()
        assert box is not None
        ends = {"x": box["x"] + box["width"] - 1, "y": box["y"] + box["height"] / 2}
        seen = await page.evaluate("at => document.elementFromPoint(at.x, at.y).textContent", ends)
        assert seen == "120 s"


async def test_a_phase_s_name_does_not_run_into_the_next_phase(browser: Browser) -> None:
    one = result()
    phases = tuple(Phase(name="warm up", seconds=seconds, measured=False) for seconds in range(4, 25))
    last = one.moments[-1].model_copy(update={"at": sum(phase.seconds for phase in phases) - 1})
    long = one.model_copy(
        update={
            "scenario": one.scenario.model_copy(update={"phases": phases}),
            "moments": [*one.moments, last],
        }
    )
    async with page_in(browser) as page:
        await page.set_content(report([long]))
        names = page.locator("figure").first.locator("svg .band")
        assert 0 < await names.count() < len(phases)
        assert await names.evaluate_all(
            """(names) => {
              const edges = names[0].ownerSVGElement.querySelectorAll(".edge");
              const begins = [...edges].map((edge) => edge.x1.baseVal.value);
              return names.every((name) => {
                const { x, width } = name.getBBox();
                return begins.every((begin) => begin < x || begin > x + width);
              });
            }"""
        )


async def test_on_paper_it_is_dark_on_white_and_no_plot_is_cut_in_two(browser: Browser) -> None:
    async with page_in(browser) as page:
        await page.set_content(report([result()]))
        on_screen = await page.evaluate("getComputedStyle(document.body).color")
        await page.emulate_media(color_scheme="dark", media="print")
        await expect(page.locator("body")).to_have_css("color", on_screen)
        await expect(page.locator("section", has=page.locator("svg")).first).to_have_css(
            "break-inside", "avoid"
        )


async def test_where_the_system_sets_all_colours_a_line_s_is_still_its_name_s(browser: Browser) -> None:
    async with page_in(browser) as page:
        await page.emulate_media(forced_colors="active")
        await page.set_content(report([result()]))
        plot = page.locator("figure").first
        line = await plot.locator("polyline").first.evaluate("(line) => getComputedStyle(line).stroke")
        await expect(plot.locator(".legend i").first).to_have_css("border-top-color", line)
