"""What the solution's services ask for, and a read that follows a write sees it."""

import asyncio

from tests.integration.api_gateway.gateways import Gateway, gateway
from tests.integration.backing import new_group, new_up


async def group_of(here: Gateway, *users: str) -> str:
    made = await here.as_solution("POST", "/group/", {"name": "Maths", "users": list(users)})
    assert (made.status, made.said["stored"]) == (201, True), made
    return str(made.said["id"])


async def test_a_message_is_read_at_once_where_it_was_written(stored: str) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, up)
        for n in range(5):
            new = {"group": group, "from": up, "message": f"text {n} ✓"}
            posted = await here.as_solution("POST", "/message/", new)
            assert (posted.status, posted.said["stored"]) == (201, True)
            message = {name: value for name, value in posted.said.items() if name != "stored"}
            one = await here.as_solution("GET", f"/message/{posted.said['id']}")
            assert one.said == message
            newest = await here.as_solution("GET", f"/group/messages?groupID={group}&perPage=1")
            assert newest.said["messages"] == [message]
            assert newest.said["storedUpTo"] >= posted.said["seq"]
            everywhere = await here.as_solution("GET", "/message/?perPage=200")
            assert message in everywhere.said["messages"]


async def test_the_same_id_never_makes_a_second_message(stored: str) -> None:
    up, other = new_up(), new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, up, other)
        new = {"group": group, "from": up, "message": "once", "id": "my-id"}
        posts = await asyncio.gather(*(here.as_solution("POST", "/message/", new) for _ in range(8)))
        posts.append(await here.as_solution("POST", "/message/", {**new, "message": "another text"}))
        assert {(post.said["seq"], post.said["timestamp"], post.said["message"]) for post in posts} == {
            (posts[0].said["seq"], posts[0].said["timestamp"], "once")
        }
        assert sorted(post.status for post in posts) == [200] * 8 + [201]
        same_id = await here.as_solution("POST", "/message/", {**new, "from": other})
        assert same_id.status == 201
        shown = await here.as_solution("GET", f"/group/messages?groupID={group}")
        assert [one["up"] for one in shown.said["messages"]] == [up, other]


async def test_groups_and_users_are_read_at_once_where_they_were_written(stored: str) -> None:
    up, other = new_up(), new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, up, other)
        assert {"id": group, "name": "Maths"} in (await here.as_solution("GET", "/group/")).said["groups"]
        one = await here.as_solution("GET", f"/group/{group}/")
        assert one.said == {"id": group, "name": "Maths", "users": sorted([up, other])}
        renamed = {"id": group, "name": "Algebra", "users": []}
        assert (await here.as_solution("POST", "/group/", renamed)).said["users"] == sorted([up, other])
        mine = await here.as_solution("GET", f"/group/user/{other}")
        assert mine.said == {"groups": [{"id": group, "name": "Algebra"}]}
        for online in (True, False):
            told = {"username": "ana", "name": "Ana Ç.", "online": online}
            state = await here.as_solution("POST", f"/user/{up}", told)
            assert (state.status, state.said) == (200, {"up": up, **told, "stored": True})
            users = await here.as_solution("GET", "/user/")
            assert {"up": up, **told} in users.said["users"]


async def test_a_student_who_chooses_an_id_first_has_no_group_of_the_solution(stored: str) -> None:
    creator, member = new_up(), new_up()
    async with gateway(mongodb_database=stored) as here:
        mine = {"name": "Maths", "users": [], "id": new_group()}
        await here.as_user(creator, "POST", "/chat/group", mine)
        official = {"id": mine["id"], "name": "Algebra", "users": [member]}
        refused = await here.as_solution("POST", "/group/", official)
        assert (refused.status, refused.code) == (403, "not_allowed")
        shown = await here.as_solution("GET", f"/group/{mine['id']}/")
        assert shown.said == {"id": mine["id"], "name": "Maths", "users": [creator]}
        ours = {**official, "id": new_group()}
        for name in ("Algebra", "Algebra I"):
            assert (await here.as_solution("POST", "/group/", {**ours, "name": name})).status == 201
        assert (await here.as_user(creator, "POST", "/chat/group", {**mine, "id": ours["id"]})).status == 403


async def test_who_leaves_a_course_is_removed_from_its_group_and_from_those_that_students_made(
    stored: str,
) -> None:
    up, other = new_up(), new_up()
    async with gateway(mongodb_database=stored) as here:
        made = await here.as_user(other, "POST", "/chat/group", {"name": "Ours", "users": [up]})
        for group in (await group_of(here, up, other), str(made.said["id"])):
            for _again in range(2):
                removed = await here.as_solution("DELETE", f"/group/{group}/member/{up}")
                assert (removed.status, removed.said) == (
                    200, {"group": group, "up": up, "member": False, "stored": True}
                )  # fmt: skip
            assert (await here.as_solution("GET", f"/group/{group}/")).said["users"] == [other]
            assert (await here.as_user(up, "GET", f"/chat/{group}/message")).code == "not_a_member"
        assert (await here.as_solution("GET", f"/group/user/{up}")).said == {"groups": []}
        assert (await here.as_solution("DELETE", f"/group/nowhere/member/{up}")).code == "not_found"


async def test_lists_are_given_in_pages(stored: str) -> None:
    async with gateway(mongodb_database=stored) as here:
        for _ in range(3):
            await group_of(here, new_up())
            await here.as_solution(
                "POST", f"/user/{new_up()}", {"username": "u", "name": "n", "online": True}
            )
        for path, key, name in (("/group/", "groups", "id"), ("/user/", "users", "up")):
            whole = [one[name] for one in (await here.as_solution("GET", path)).said[key]]
            paged: list[str] = []
            page: int | None = 0
            while page is not None:
                answer = await here.as_solution("GET", f"{path}?page={page}&perPage=2")
                assert 0 < len(answer.said[key]) <= 2
                paged += [one[name] for one in answer.said[key]]
                page = answer.said["nextPage"]
            assert paged == whole == sorted(whole)


async def test_arguments_of_a_get_may_stand_in_a_json_body(stored: str) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, up)
        for text in ("one", "two"):
            await here.as_solution("POST", "/message/", {"group": group, "from": up, "message": text})
        arguments = {"groupID": group, "page": 1, "perPage": 1}
        answer = await here.as_solution("GET", "/group/messages", arguments)
        assert [one["message"] for one in answer.said["messages"]] == ["one"]
        assert (await here.as_solution("GET", "/group/messages", b"{")).code == "bad_json"


async def test_the_routes_are_those_of_the_contract(stored: str) -> None:
    async with gateway(mongodb_database=stored) as here:
        found = {
            (method.upper(), path)
            for path, operations in here.internal._document["paths"].items()
            for method in operations
        }
    assert found == {
        ("GET", "/group/"),
        ("GET", "/group/{id}/"),
        ("GET", "/group/messages"),
        ("GET", "/group/user/{up}"),
        ("POST", "/group/"),
        ("DELETE", "/group/{group}/member/{up}"),
        ("GET", "/message/"),
        ("GET", "/message/{id}"),
        ("POST", "/message/"),
        ("GET", "/user/"),
        ("POST", "/user/{up}"),
    }


async def test_what_cannot_be_posted_is_refused_by_name(stored: str) -> None:
    up = new_up()
    async with gateway(mongodb_database=stored) as here:
        group = await group_of(here, up)
        good = {"group": group, "from": up, "message": "x"}
        for bad, code in (
            ({**good, "from": new_up()}, "not_a_member"),
            ({**good, "group": new_group()}, "not_a_member"),
            ({**good, "message": "ç" * 8193}, "too_large"),
            ({**good, "message": "x" * 1_000_000}, "too_large"),
            ({**good, "id": "a/b"}, "invalid_payload"),
            ({"group": group, "message": "x"}, "invalid_payload"),
            (b"{", "bad_json"),
        ):
            assert (await here.as_solution("POST", "/message/", bad)).code == code
        largest = await here.as_solution("POST", "/message/", {**good, "message": "ç" * 8192})
        assert largest.status == 201
        for path in ("/group/nowhere/", "/message/nothing", "/group/messages?groupID=nowhere"):
            assert (await here.as_solution("GET", path)).code == "not_found"
