"""Files for browsers are sent once: who shows that they have a version is told so, whatever lies between."""

import re

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from multidict import CIMultiDict

from api_gateway import pages
from api_gateway.answers import Api
from tests.unit.api_gateway.parts import UNBOUNDED

PAGE = pages.page_of(b"{}", "application/json")


async def status_for(*if_none_match: str) -> int:
    api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    pages._serve(api, "/page", PAGE)
    headers = CIMultiDict[str]()
    for one in if_none_match:
        headers.add("If-None-Match", one)
    async with (
        TestClient[web.Request, web.Application](TestServer(api.application)) as client,
        client.get("/page", headers=headers) as answer,
    ):
        assert await answer.read() == (b"" if answer.status == 304 else b"{}")
        return answer.status


@pytest.mark.parametrize(
    "given",
    [
        (PAGE.etag,),
        (f"W/{PAGE.etag}",),
        ("*",),
        (f'"older", W/"old",{PAGE.etag}',),
        ('W/"a, b"', f"W/{PAGE.etag}"),
    ],
)
async def test_who_has_a_page_is_not_sent_it_again(given: tuple[str, ...]) -> None:
    assert await status_for(*given) == 304


@pytest.mark.parametrize(
    "given",
    [
        (),
        ("",),
        ('"older"',),
        (PAGE.etag.strip('"'),),
        ('"*"',),
        (f"w/x{PAGE.etag[:-1]}",),
        (PAGE.etag, "," * 1_000),
    ],
)
async def test_who_has_another_version_or_none_is_sent_the_page(given: tuple[str, ...]) -> None:
    assert await status_for(*given) == 200


@pytest.mark.parametrize(
    ("given", "zipped"),
    [
        ((), False),
        (("gzip", "," * 1_000), False),
        (("gzip",), True),
        (("br, GZip;q=0.5",), True),
        (("br", "gzip"), True),
        (("*",), True),
        (("gzip;q=0.001",), True),
        (("gzip, *;q=0",), True),
        (("*, gzip;q=0",), False),
        (("gzip;q=0",), False),
        (("gzip ; Q=0.000, identity",), False),
        (("*;q=0",), False),
        (("br, notgzip",), False),
    ],
)
async def test_a_page_comes_zipped_only_to_who_takes_that(given: tuple[str, ...], zipped: bool) -> None:
    api = Api("public", None, max_body_bytes=1_000, unread=UNBOUNDED)
    pages._serve(api, "/page", PAGE)
    headers = CIMultiDict([("Accept-Encoding", one) for one in given])
    async with (
        TestClient[web.Request, web.Application](
            TestServer(api.application), skip_auto_headers=["Accept-Encoding"]
        ) as client,
        client.get("/page", headers=headers) as answer,
    ):
        assert (answer.headers.get("Content-Encoding") == "gzip") is zipped
        assert await answer.read() == b"{}"


def test_a_page_fetches_its_modules_at_once_and_each_imports_only_those_listed_before_it() -> None:
    page = (pages.WEB / "index.html").read_text()
    listed = re.findall(r'<(?:link rel="modulepreload" href|script src)="/web/(\w+\.js)"', page)
    assert sorted(listed) == sorted(module.name for module in pages.WEB.glob("*.js"))
    for at, name in enumerate(listed):
        imported = re.findall(r'from "\./(.+)"', (pages.WEB / name).read_text())
        assert set(imported) <= set(listed[:at]), name
