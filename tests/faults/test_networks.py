"""Bad networks: between an edge and the broker, the persister and the store, the clients and their edges."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack
from typing import Final

import pytest

from deploy.local.ports import free_ports
from loadtest.rest import RestApi
from tests.faults.crowd import Crowd, open_crowd
from tests.faults.outcomes import Outcome
from tests.faults.stage import Stage
from tests.faults.tcp_proxy import FROZEN, GOOD, Network, TcpProxy

pytestmark = [pytest.mark.backing, pytest.mark.slow, pytest.mark.timeout(3600)]

LASTS_S: Final = 2.0
LASTS_LONG_S: Final = 12.0
SHARE: Final = 0.2
"""How much of a long run's time goes into networks."""

NETWORKS: Final = {
    "delay and jitter": Network(delay_s=0.03, jitter_s=0.1),
    "freeze": FROZEN,
    "half-open, nothing comes back": Network(passes_from=False),
    "truncation": Network(cuts=0.1),
    "reset": GOOD,
}
"""What is reset at the end loses what it held: a frozen way thaws, all others end with a reset."""


async def disturb(ways: Sequence[TcpProxy], kind: str, crowd: Crowd, lasts_s: float) -> float:
    """Make some ways bad for a while; return how long it took from then until all was well again."""
    for way in ways:
        way.network = NETWORKS[kind]
        if kind == "reset":
            way.reset_all()
    probe = asyncio.create_task(crowd.probe())
    await asyncio.sleep(lasts_s)
    for way in ways:
        way.network = GOOD
        if kind != "freeze":
            way.reset_all()
    return await probe


def locating_by(ways: dict[str, TcpProxy]) -> Callable[[RestApi], Callable[[str], Awaitable[str]]]:
    """Send clients through the proxies, wherever the gateway sends them."""

    def by(api: RestApi) -> Callable[[str], Awaitable[str]]:
        async def locate(token: str) -> str:
            return f"http://{ways[await api.locate(token)].address}"

        return locate

    return by


async def test_bad_networks_break_no_promise(
    stage: Stage, seed: int, minutes: float, outcome: Outcome
) -> None:
    """delay, jitter, freeze, half-open, truncation, reset: edge-broker, persister-store, client-edge"""
    rng = random.Random(seed)
    with ExitStack() as stack:
        urls = list(stage.system.edge_urls.values())
        to_edges = {
            url: stack.enter_context(TcpProxy(url.removeprefix("http://"), port))
            for url, port in zip(urls, free_ports(len(urls)), strict=True)
        }
        links = [[stage.to_broker], [stage.to_store], list(to_edges.values())]
        together = [way for link in links for way in link]
        async with open_crowd(stage.system, seed, locate=locating_by(to_edges)) as crowd:
            async with crowd.chatting():
                ends = crowd.recorder.clock() + minutes * 60 * SHARE
                for kind in NETWORKS:
                    outcome.recovered_s.append(await disturb(together, kind, crowd, LASTS_S))
                    outcome.counts[kind] += 1
                    print(f"{kind}: recovered in {outcome.recovered_s[-1]:.1f} s")
                while crowd.recorder.clock() < ends:
                    kind, link = rng.choice(list(NETWORKS)), rng.choice(links)
                    outcome.recovered_s.append(await disturb(link, kind, crowd, LASTS_LONG_S))
                    outcome.counts[kind] += 1
                    print(f"{kind}: recovered in {outcome.recovered_s[-1]:.1f} s")
            outcome.checked = await crowd.judge()
