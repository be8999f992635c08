"""A row's arguments: taken from path, query and body, and refused by the name of the wrong field."""

from typing import Any

import orjson
import pytest
from aiohttp.test_utils import TestClient, TestServer
from hypothesis import given
from hypothesis import strategies as st

from api_gateway.answers import Api
from api_gateway.ready_response import ReadyResponse
from api_gateway.routing import Route, add_routes, reply
from api_gateway.unread_answers import SMALL_BYTES, UnreadAnswers
from runtime import metrics
from schemas import api
from schemas.refusals import INVALID_PAYLOAD, TABLE, Refused, checked
from tests.counting import counting
from tests.unit.api_gateway.parts import ANY_BODIES, UNBOUNDED


async def echo(caller: str, arguments: api.Request) -> ReadyResponse:
    return reply({"caller": caller, "arguments": arguments.model_dump(by_alias=True)})


async def large(_caller: str, _arguments: api.Request) -> ReadyResponse:
    return reply({"arguments": "x" * (SMALL_BYTES + 1)})


ROUTES: list[Route[Any]] = [
    Route("GET", "/large", api.NoArguments, api.History, large),
    Route("GET", "/chat/{group}/message", api.GroupHistoryPage, api.History, echo),
    Route("GET", "/nothing", api.NoArguments, api.History, echo),
    Route("POST", "/user/{up}", api.UserState, api.User, echo),
    Route("POST", "/message/", api.PostMessage, api.MessageAccepted, echo),
    Route("PUT", "/chat/{group}/member/{up}", api.OneMember, api.MemberAccepted, echo),
    Route("DELETE", "/chat/{group}/member/{up}", api.OneMember, api.MemberAccepted, echo),
]


async def ask(method: str, path: str, data: bytes | None = None) -> tuple[int, Any]:
    """Return the status and the arguments that the handler saw, or the error."""
    api = Api("public", None, max_body_bytes=32_768, unread=UNBOUNDED)
    add_routes(api, ROUTES, lambda _: "up201906045", ANY_BODIES)
    async with (
        TestClient(TestServer(api.application)) as client,
        client.request(method, path, data=data) as answer,
    ):
        said = orjson.loads(await answer.read())
        return answer.status, said.get("arguments", said.get("error"))


async def test_a_large_answer_counts_for_who_asked_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted for nobody in particular, one slow reader's answers would be everybody's."""
    callers: list[str] = []
    monkeypatch.setattr(UnreadAnswers, "admit", lambda _, caller, _size: callers.append(caller))
    status, _ = await ask("GET", "/large")
    assert (status, callers) == (200, ["up201906045"])


async def test_arguments_come_from_the_path_and_the_query() -> None:
    status, arguments = await ask("GET", "/chat/maths/message?page=2&perPage=7")
    assert status == 200
    assert arguments == {"group": "maths", "page": 2, "perPage": 7, "before": None, "after": None}


async def test_a_get_takes_its_arguments_as_a_json_body_too() -> None:
    by_body = await ask("GET", "/chat/maths/message", b'{"page": 2, "before": 9}')
    assert by_body == await ask("GET", "/chat/maths/message?page=2&before=9")


@pytest.mark.parametrize("given", [True, 1.5, 1.0, [1], {"$gt": 1}, "1_0"])
async def test_what_is_no_whole_number_in_a_body_is_none(given: object) -> None:
    status, error = await ask("GET", "/chat/maths/message", orjson.dumps({"perPage": given}))
    assert (status, error["code"]) == (422, "invalid_payload")
    assert error["message"].startswith("perPage: ")


@pytest.mark.parametrize("path", ["/nothing", "/nothing/", "/chat/maths/message", "/chat/maths/message/"])
async def test_a_slash_at_the_end_changes_nothing(path: str) -> None:
    route = "/nothing" if "nothing" in path else "/chat/{group}/message"
    answered = counting(metrics.HTTP_REQUESTS.labels(api="public", route=route, status=200))
    seconds = metrics.HTTP_SECONDS.labels(api="public", route=route)._sum
    before_s = seconds.get()
    assert (await ask("GET", path))[0] == 200
    assert answered() == 1, "no alert looks for another"
    assert seconds.get() > before_s


UP = "up201906045"
A_MESSAGE = {"group": "maths", "from": UP, "message": "x"}
A_STATE = {"username": "a", "name": "b", "online": True}
BAD_BODIES: list[tuple[str, bytes | dict[str, Any], str, str]] = [
    ("/message/", b"{", "bad_json", "JSON"),
    ("/message/", b'{"message": NaN}', "bad_json", "JSON"),
    ("/message/", b'\xff\xfe{"', "bad_json", "JSON"),
    ("/message/", b'{"message": "\\ud800"}', "bad_json", "JSON"),
    ("/message/", b"[" * 20_000, "bad_json", "JSON"),
    ("/message/", b"[]", "invalid_payload", "body"),
    ("/message/", b"", "invalid_payload", "group"),
    ("/message/", {"group": "maths", "message": "x"}, "invalid_payload", "from"),
    ("/message/", {**A_MESSAGE, "group": "a/b"}, "invalid_payload", "group"),
    ("/message/", {**A_MESSAGE, "from": "up1"}, "invalid_payload", "from"),
    ("/message/", {**A_MESSAGE, "message": 1}, "invalid_payload", "message"),
    ("/message/", {**A_MESSAGE, "extra": 1}, "invalid_payload", "extra"),
    ("/message/", {**A_MESSAGE, "message": "x" * 1_000_000}, "too_large", "At most 1048576 bytes"),
    ("/user/up201906045", {**A_STATE, "up": "up201906046"}, "invalid_payload", "up"),
    ("/user/somebody", A_STATE, "invalid_payload", "up"),
    *(
        ("/user/up201906045", {**A_STATE, "online": online}, "invalid_payload", "online")
        for online in ("yes", "true", 1, 0.0, "off")
    ),
]
BAD_URLS = [
    ("GET", "/chat/maths/message?page=-1", "invalid_payload", "page"),
    ("GET", "/chat/maths/message?perPage=1000000", "invalid_payload", "perPage"),
    ("GET", "/chat/maths/message?page=two", "invalid_payload", "page"),
    *(
        ("GET", f"/chat/maths/message?perPage={text}", "invalid_payload", "perPage")
        for text in ("1_0", "1%0a", "%201", "1.0", "1e1", "%D9%A1", "--1", "", "true", "9" * 5_000)
    ),
    ("GET", "/chat/maths/message?pgae=1", "invalid_payload", "pgae"),
    ("GET", "/chat/maths/message?before=9223372036854775808", "invalid_payload", "before"),
    ("GET", "/chat/maths/message?after=-2", "invalid_payload", "after"),
    ("GET", "/chat/maths/message?group=art", "invalid_payload", "group"),
    ("GET", "/chat/maths/message?page=0&page=7", "invalid_payload", "page: Given twice"),
    ("GET", "/chat/maths/message?perPage=1&page=7&page=7", "invalid_payload", "page: Given twice"),
    ("GET", "/chat/%24ne/message", "invalid_payload", "group"),
    ("GET", "/nothing?page=1", "invalid_payload", "page"),
    ("GET", "/elsewhere", "not_found", ""),
    ("DELETE", "/nothing", "method_not_allowed", ""),
]


@pytest.mark.parametrize(("path", "body", "code", "names"), BAD_BODIES)
async def test_a_bad_body_is_an_answer_that_names_the_field(
    path: str, body: bytes | dict[str, Any], code: str, names: str
) -> None:
    data = body if isinstance(body, bytes) else orjson.dumps(body)
    status, error = await ask("POST", path, data)
    assert (status, error["code"]) == (TABLE[code].status, code)
    assert names in error["message"]
    assert error["request_id"]


@pytest.mark.parametrize(("method", "path", "code", "names"), BAD_URLS)
async def test_a_bad_url_is_an_answer_that_names_the_argument(
    method: str, path: str, code: str, names: str
) -> None:
    status, error = await ask(method, path)
    assert (status, error["code"]) == (TABLE[code].status, code)
    assert names in error["message"]


@pytest.mark.parametrize("query", ["", "?", "?page=1", "?group=maths", "?&x"])
async def test_only_a_get_takes_a_query_and_others_say_so(query: str) -> None:
    named = query.strip("?&").partition("=")[0]
    member, message = f"/chat/maths/member/{UP}{query}", orjson.dumps(A_MESSAGE)
    for method, path, body in (
        ("PUT", member, None),
        ("DELETE", member, None),
        ("POST", f"/message/{query}", message),
    ):
        status, said = await ask(method, path, body)
        if named:
            assert (status, said["code"]) == (422, "invalid_payload")
            assert said["message"].startswith(f"{named}: ")
        else:
            assert status == 200


@given(
    st.sampled_from([api.PostMessage, api.CreateGroup, api.GroupHistoryPage, api.UserState, api.OneMember]),
    st.dictionaries(
        st.sampled_from(["group", "from", "message", "id", "users", "name", "page", "before", "up", "online"])
        | st.text(max_size=5),
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats()
        | st.text(max_size=20)
        | st.lists(st.text(max_size=3)),
        max_size=6,
    ),
)
def test_whatever_is_given_is_either_arguments_or_an_invalid_payload(
    kind: type[api.Request], given_: dict[str, Any]
) -> None:
    try:
        assert isinstance(checked(kind, given_), kind)
    except Refused as refused:
        if refused.refusal is not INVALID_PAYLOAD:
            raise
