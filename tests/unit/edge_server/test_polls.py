"""A poll whose answer was lost: whoever sends it again must not go on behind a hole."""

from tests.unit.edge_server.gated_edge import an_edge
from tests.waiting import eventually


async def test_a_poll_that_is_sent_again_ends_its_session() -> None:
    """As aiohttp and browsers do where a connection that was kept breaks before the answer comes."""
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url
        assert await client.say('421["any"]') == 200
        client.url = f"{url}&t=1"
        assert await client.poll() == '431["answered"]'
        assert await client.say('422["any"]') == 200
        assert "Invalid session" in await client.poll()
        await eventually("the client is gone", lambda: edge.ends == [edge.server.reason.TRANSPORT_ERROR])


async def test_polls_with_another_stamp_or_none_go_on() -> None:
    async with an_edge() as edge:
        client = await edge.poller()
        url = client.url
        for stamp in ("&t=1", "&t=2", "", "", "&t=1"):
            client.url = url + stamp
            assert await client.say('421["any"]') == 200
            assert await client.poll() == '431["answered"]'
        client.url = f"{url}&t=1"
        socket = await client.upgraded()
        await socket.send_str('422["any"]')
        assert await socket.receive_str() == '432["answered"]'
        assert not edge.ends
