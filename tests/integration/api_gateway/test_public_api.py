"""What students ask for: where to connect, what was said, and their groups. Members only."""

import asyncio
from itertools import product
from typing import Any
from urllib.parse import urlsplit

import pytest

from api_gateway.store_reads import StoreReads
from schemas import topics
from schemas.assignments import TABLE_KEY, Shard, TableAssigned
from schemas.documents import MESSAGES, message_document
from schemas.log_records import MessageSent, encode
from schemas.up_number import CIRCLE
from tests.integration.api_gateway.gateways import Answer, Gateway, gateway
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.persister.processes import open_history
from tests.waiting import DEADLINE_S, eventually


async def group_of(here: Gateway, creator: str, *users: str) -> str:
    made = await here.as_user(creator, "POST", "/chat/group", {"name": "Maths", "users": list(users)})
    assert made.status == 201, made
    assert made.said["users"] == sorted({creator, *users})
    return str(made.said["id"])


async def say(here: Gateway, group: str, up: str, *texts: str) -> list[int]:
    posts = [
        await here.as_solution("POST", "/message/", {"group": group, "from": up, "message": text})
        for text in texts
    ]
    assert {post.status for post in posts} <= {201}
    return [post.said["seq"] for post in posts]


def texts(answer: Answer) -> list[str]:
    return [one["message"] for one in answer.said["messages"]]


async def test_a_location_follows_the_newest_table_and_ignores_older_ones(log: Log, stored: str) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored) as here:
        before = await here.as_user(up, "GET", "/chat/location")
        epoch = 1 + (int(before.said["version"].split(".")[0]) if before.status == 200 else 0)

        async def publish(version: int, edge: str | None) -> None:
            half = CIRCLE // 2
            shards = (Shard(start=0, end=half, edge=edge), Shard(start=half, end=CIRCLE, edge=edge))
            urls = {edge: f"http://{edge}.example"} if edge else {}
            table = TableAssigned(epoch=epoch, version=version, shards=shards, urls=urls)
            await log.write(topics.ASSIGNMENTS, encode(table, key=TABLE_KEY, source="test"))

        async def arrives(version: int) -> Answer:
            wanted = f"{epoch}.{version}"
            return await here.answers(up, "/chat/location", lambda it: it.said.get("version") == wanted)

        await publish(5, "edge-five")
        found = await arrives(5)
        assert found.said["url"] == "http://edge-five.example"
        assert found.said["shard"] in {"[0-4]", "[5-9]"}
        await publish(4, "edge-four")
        await publish(6, "edge-six")
        assert (await arrives(6)).said["edge"] == "edge-six"
        await publish(7, None)
        refused = await here.answers(up, "/chat/location", lambda it: it.status == 503)
        assert (refused.code, refused.headers["Retry-After"]) == ("no_edge", "2")


async def test_history_is_paged_from_the_newest_each_page_in_log_order(stored: str) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, up)
        seqs = await say(here, group, up, *(f"text {n}" for n in range(7)))
        path = f"/chat/{group}/message"
        newest = await here.as_user(up, "GET", f"{path}?perPage=3")
        assert texts(newest) == ["text 4", "text 5", "text 6"]
        assert newest.said["storedUpTo"] >= seqs[-1]
        assert texts(await here.as_user(up, "GET", f"{path}?perPage=3&page=2")) == ["text 0"]
        assert texts(await here.as_user(up, "GET", f"{path}?perPage=2&before={seqs[4]}")) == [
            "text 2",
            "text 3",
        ]
        assert texts(await here.as_user(up, "GET", f"{path}?perPage=2&after={seqs[4]}")) == [
            "text 5",
            "text 6",
        ]
        between = f"{path}?after={seqs[1]}&before={seqs[4]}"
        assert texts(await here.as_user(up, "GET", between)) == ["text 2", "text 3"]
        assert texts(await here.as_user(up, "GET", path)) == [f"text {n}" for n in range(7)]


async def test_the_bundle_holds_a_page_of_each_of_my_groups_and_of_no_other(stored: str) -> None:
    me, other = new_up(), new_up()
    async with gateway(mongodb_database=stored) as here:
        quiet, loud = await group_of(here, me), await group_of(here, me, other)
        foreign = await group_of(here, other)
        await say(here, foreign, other, "not for me")
        await say(here, loud, other, *(f"text {n}" for n in range(5)))

        async def bundle(query: str) -> dict[str, list[str]]:
            answer = await here.as_user(me, "GET", f"/chat/message{query}")
            assert all(one["storedUpTo"] >= -1 for one in answer.said["groups"])
            return {
                one["group"]: [message["message"] for message in one["messages"]]
                for one in answer.said["groups"]
            }

        assert await bundle("?perPage=2") == {quiet: [], loud: ["text 3", "text 4"]}
        assert await bundle("?perPage=2&page=2") == {quiet: [], loud: ["text 0"]}
        nobody = await here.as_user(new_up(), "GET", "/chat/message")
        assert nobody.said == {"groups": []}


async def test_who_gives_up_on_a_bundle_leaves_their_places_to_themselves_and_others(
    stored: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They had gone on to be read for, whole: a few who gave up early kept all the others waiting."""
    me, other = new_up(), new_up()
    asked = list[str]()

    async def never(*_: object) -> Any:
        asked.append("a bundle")
        await asyncio.Event().wait()

    async with gateway(mongodb_database=stored, max_reads_per_user=1, bundle_within_s=3_600) as here:
        group = await group_of(here, me, other)
        with monkeypatch.context() as slow:
            slow.setattr(StoreReads, "aggregate", never)
            gives_up = asyncio.create_task(here.as_user(me, "GET", "/chat/message"))
            await eventually("a bundle is under way", lambda: bool(asked))
            assert (await here.as_user(me, "GET", f"/chat/{group}/message")).code == "rate_limited"
            gives_up.cancel()
            await here.answers(me, f"/chat/{group}/message", lambda it: it.status == 200)
        for up in (me, other):
            bundle = await here.as_user(up, "GET", "/chat/message")
            assert [one["group"] for one in bundle.said["groups"]] == [group]


async def test_the_bundle_of_a_store_that_was_just_restored_shows_what_is_there(
    log: Log, stored: str
) -> None:
    """A backup is restored without progress, and no persister runs meanwhile."""
    me, group, restored = new_up(), new_group(), f"{stored}_restored"
    await log.join(group, me)
    sent = MessageSent(id="m7", group=group, up=me, message="of before", sent_at=1)
    async with open_history(restored) as history:
        await history.store.insert_new(MESSAGES, [message_document(sent, seq=7, timestamp=1)])
    async with gateway(mongodb_database=restored) as here:
        (shown,) = (await here.as_user(me, "GET", "/chat/message")).said["groups"]
        assert (shown["group"], shown["storedUpTo"]) == (group, -1)
        assert [one["message"] for one in shown["messages"]] == ["of before"]


async def test_members_come_and_go_and_only_members_read_and_let_others_in(stored: str) -> None:
    creator, friend, stranger = new_up(), new_up(), new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, creator, friend)
        member = f"/chat/group/{group}/member"
        for method, path in (
            ("GET", f"/chat/{group}/message"),
            ("GET", f"/chat/group/{group}"),
            ("PUT", f"{member}/{stranger}"),
            ("DELETE", f"{member}/{stranger}"),
            ("DELETE", f"{member}/{friend}"),
        ):
            assert (await here.as_user(stranger, method, path)).code == "not_a_member"
        joined = await here.as_user(friend, "PUT", f"{member}/{stranger}")
        assert (joined.said["member"], joined.said["stored"]) == (True, True)
        assert (await here.as_user(stranger, "GET", f"/chat/{group}/message")).status == 200
        assert (await here.as_user(friend, "DELETE", f"{member}/{stranger}")).code == "not_allowed"
        assert (await here.as_user(creator, "DELETE", f"{member}/{stranger}")).said["member"] is False
        assert (await here.as_user(stranger, "GET", f"/chat/{group}/message")).code == "not_a_member"
        assert (await here.as_user(friend, "DELETE", f"{member}/{friend}")).status == 200
        shown = await here.as_user(creator, "GET", f"/chat/group/{group}")
        assert shown.said == {"id": group, "name": "Maths", "users": [creator]}
        assert (await here.as_user(friend, "GET", "/chat/group")).said == {"groups": []}


async def test_members_see_who_is_who_and_who_is_online_page_by_page(stored: str) -> None:
    me, ana, unnamed = sorted(new_up() for _ in range(3))
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, me, ana, unnamed)
        told = {"username": "ana", "name": "Ana Ç.", "online": True}
        await here.as_solution("POST", f"/user/{ana}", told)
        await here.as_solution("POST", f"/user/{new_up()}", told)
        nothing = {"name": None, "online": False}
        known = {"up": ana, "name": "Ana Ç.", "online": True}
        everybody = [{"up": me, **nothing}, known, {"up": unnamed, **nothing}]
        names = f"/chat/group/{group}/member"
        assert (await here.as_user(me, "GET", names)).said == {"users": everybody, "nextPage": None}
        for page, (users, following) in enumerate([(everybody[:2], 1), (everybody[2:], None), ([], None)]):
            shown = await here.as_user(me, "GET", f"{names}?perPage=2&page={page}")
            assert shown.said == {"users": users, "nextPage": following}
        assert (await here.as_user(new_up(), "GET", names)).code == "not_a_member"


async def test_another_gateway_follows_changes_of_members(log: Log, stored: str) -> None:
    me, friend = new_up(), new_up()
    async with gateway(mongodb_database=stored) as one, gateway(mongodb_database=stored) as two:
        group = await group_of(one, me)

        async def sees(up: str, wanted: int) -> None:
            await two.answers(up, f"/chat/{group}/message", lambda it: it.status == wanted)

        await sees(me, 200)
        await log.join(group, friend)
        await sees(friend, 200)
        await log.leave(group, friend)
        await sees(friend, 403)


async def test_nobody_takes_over_a_group_by_its_id(log: Log, stored: str) -> None:
    creator, thief = new_up(), new_up()
    async with gateway(mongodb_database=stored) as here, gateway(mongodb_database=stored) as there:
        group, bare = new_group(), new_group()
        new = {"name": "Maths", "id": group}
        assert (await here.as_user(creator, "POST", "/chat/group", new)).status == 201
        for one in (there, here):
            stolen = await one.as_user(thief, "POST", "/chat/group", {"name": "Mine", "id": group})
            assert stolen.code == "not_allowed"
        again = await here.as_user(creator, "POST", "/chat/group", new)
        assert (again.status, again.said["users"]) == (201, [creator])
        await log.join(bare, creator)
        await here.answers(creator, "/chat/group", lambda it: bare in str(it.said))
        assert (
            await here.as_user(thief, "POST", "/chat/group", {"name": "M", "id": bare})
        ).code == "not_allowed"
        assert (await here.as_user(thief, "GET", f"/chat/{group}/message")).code == "not_a_member"
        await here.as_user(creator, "DELETE", f"/chat/group/{group}/member/{creator}")
        assert (await here.as_user(creator, "POST", "/chat/group", new)).code == "not_allowed"
        reserved = await here.as_user(thief, "POST", "/chat/group", {"name": "M", "id": "group"})
        assert reserved.code == "invalid_payload"


async def test_bad_input_is_refused_by_name_and_nobody_else_notices(stored: str) -> None:
    async with gateway(mongodb_database=stored) as here:
        for method, path, data, code in (
            ("POST", "/chat/group", b'{"name": ', "bad_json"),
            ("POST", "/chat/group", {"users": []}, "invalid_payload"),
            ("POST", "/chat/group", {"name": "x" * 1_000_000}, "too_large"),
            ("GET", "/chat/maths/message?page=-1", None, "invalid_payload"),
            ("GET", "/chat/maths/message?perPage=1000000", None, "invalid_payload"),
            ("PUT", "/chat/group/maths/member/nobody", None, "invalid_payload"),
            ("GET", "/chat/maths/message", None, "not_a_member"),
            ("GET", "/chat/nowhere", None, "not_found"),
            ("PATCH", "/chat/group", None, "method_not_allowed"),
        ):
            refused = await here.as_user(new_up(), method, path, data)
            assert refused.code == code, (method, path)
            assert (await here.as_user(new_up(), "GET", "/chat/group")).status == 200


async def test_bodies_that_never_become_whole_take_little_room_and_none_of_others(stored: str) -> None:
    several, other = [new_up() for _ in range(4)], new_up()
    bounds = {"max_bodies_bytes": 2**20, "body_within_s": 3600, "requests_burst_per_user": 1_000_000}
    async with gateway(mongodb_database=stored, **bounds) as here:
        address = urlsplit(here.public.url)
        unfinished = []
        for up, length in product(several, ("Content-Length: 131072", "Transfer-Encoding: chunked")):
            head = f"POST /chat/group HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token(up)}\r\n"
            _, writer = await asyncio.open_connection(address.hostname, address.port)
            writer.write(f"{head}{length}\r\n\r\n".encode())
            unfinished.append(writer)

        async def makes(up: str) -> Answer:
            return await here.as_user(up, "POST", "/chat/group", {"name": "Maths"})

        end = asyncio.get_running_loop().time() + DEADLINE_S
        for up in several:
            while (refused := await makes(up)).status == 201:
                assert asyncio.get_running_loop().time() < end
            assert refused.code == "rate_limited"
        assert (await makes(other)).status == 201
        assert (await here.as_solution("POST", "/group/", {"name": "Maths"})).status == 201
        for writer in unfinished:
            writer.close()
        for up in several:
            while (await makes(up)).status != 201:
                assert asyncio.get_running_loop().time() < end


async def test_pages_for_browsers_need_no_token_and_ask_no_other_host(stored: str) -> None:
    async with gateway(mongodb_database=stored) as here:
        for path, kind in (
            ("/", "text/html"),
            ("/docs", "text/html"),
            ("/docs/docs.css", "text/css"),
            ("/docs/swagger-ui-bundle.js", "javascript"),
            ("/web/socket.io.min.js", "javascript"),
            ("/web/chat.js", "javascript"),
            ("/web/chat.css", "text/css"),
        ):
            async with here.public._session.get(here.public.url + path) as answer:
                assert answer.status == 200
                assert kind in answer.headers["Content-Type"]
                assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
                if kind == "text/html":
                    assert "//" not in (await answer.text()).replace("<!--", "")
