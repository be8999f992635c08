"""What servers say is read as they mean it, and one that does not answer is left out."""

import os

import aiohttp
from aiohttp import web

from loadtest.server_side import MACHINE, Watched, of_process, parse_metrics, read_servers
from tests.unit.loadtest.serving import serving

PAGE = """\
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
process_cpu_seconds_total 12.5
process_resident_memory_bytes 1.5e+08
chat_persister_lag_records{partition="0",topic="chat.messages"} 3.0
chat_persister_lag_records{partition="1",topic="chat.messages"} 4.0
chat_persister_lag_records{partition="1",topic="chat.groups"} 90.0
"""


def test_labels_are_added_up_and_only_messages_count_as_lag() -> None:
    moment = parse_metrics(PAGE)
    assert (moment.cpu_s, moment.memory_bytes, moment.lag) == (12.5, 1.5e8, 7)


async def test_servers_are_looked_at_together_and_the_silent_are_left_out() -> None:
    async def metrics(_: web.Request) -> web.Response:
        return web.Response(text=PAGE)

    async def cut_short(_: web.Request) -> web.Response:
        return web.Response(text=PAGE[: PAGE.index(" 12.5")])

    async def binary(_: web.Request) -> web.Response:
        return web.Response(body=b"\xff")

    app = web.Application()
    app.router.add_get("/metrics", metrics)
    app.router.add_get("/cut/metrics", cut_short)
    app.router.add_get("/binary/metrics", binary)
    async with serving(app) as url, aiohttp.ClientSession() as session:
        watched = Watched(
            {"edge-1": url, "gone": "http://127.0.0.1:1", "cut": f"{url}/cut", "binary": f"{url}/binary"},
            {"edge-1": os.getpid(), "dead": 2**22 + 1},
        )
        found = await read_servers(session, watched)
    assert set(found) == {"edge-1", MACHINE}
    assert found["edge-1"].lag == 7
    assert found["edge-1"].memory_bytes != 1.5e8, "the kernel's figure is the better one"


def test_a_process_uses_more_and_more_cpu() -> None:
    before, after = of_process(os.getpid()), None
    for _ in range(200_000):
        pass
    after = of_process(os.getpid())
    assert before is not None
    assert after is not None
    assert after.cpu_s > before.cpu_s > 0
