"""What the driver says of a write, as errors of ours."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

import pytest
from pydantic import SecretStr
from pymongo import ReadPreference
from pymongo.errors import BulkWriteError
from pymongo.read_concern import ReadConcern

from runtime.mongo import DUPLICATE_KEY, Rejected, Store, StoreUnavailable, open_store
from runtime.service import Fatal
from runtime.settings import MongoSettings

SAID = {"_id": "leic/up201900001/m1", "message": "between us"}


class Failing:
    """A collection of which every write ends so."""

    def __init__(self, **details: Any) -> None:
        self._details = details

    async def insert_many(self, _documents: Sequence[Mapping[str, Any]], *, ordered: bool) -> None:
        assert not ordered
        raise BulkWriteError(self._details)


def store_of(collection: Failing) -> Store:
    return Store(cast(Any, {"messages": collection}))


async def test_a_write_that_too_few_members_have_names_no_document() -> None:
    duplicate = {"index": 0, "code": DUPLICATE_KEY, "errmsg": "duplicate key", "op": SAID}
    unsure = {"code": 64, "errmsg": "waiting for replication timed out"}
    store = store_of(Failing(writeErrors=[duplicate], writeConcernErrors=[unsure]))
    with pytest.raises(StoreUnavailable, match="waiting for replication timed out") as raised:
        await store.insert_new("messages", [SAID])
    assert "between us" not in str(raised.value)


async def test_a_refusal_tells_how_many_of_the_others_were_there() -> None:
    duplicates = [{"index": n, "code": DUPLICATE_KEY, "errmsg": "duplicate key"} for n in (0, 2)]
    refused = {"index": 1, "code": 121, "errmsg": "Document failed validation"}
    store = store_of(Failing(writeErrors=[*duplicates, refused]))
    with pytest.raises(Rejected) as raised:
        await store.insert_new("messages", [SAID] * 4)
    assert raised.value.known == 2
    assert raised.value.reasons == {1: "Document failed validation"}


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        (133, "write results unavailable from failing to target a host in the shard"),
        (189, "Not primary while writing to chat.messages"),
        (None, "another server's words"),
    ],
)
async def test_a_refusal_that_is_not_for_what_is_in_a_document_is_the_stores_own(
    code: int | None, reason: str
) -> None:
    """A router answers so for the documents of a shard that has no primary; other shards take theirs."""
    duplicate = {"index": 0, "code": DUPLICATE_KEY, "errmsg": "duplicate key"}
    invalid = {"index": 1, "code": 121, "errmsg": "Document failed validation"}
    away = {"index": 2, "code": code, "errmsg": reason, "op": SAID}
    store = store_of(Failing(writeErrors=[duplicate, invalid, away]))
    with pytest.raises(StoreUnavailable, match=reason) as raised:
        await store.insert_new("messages", [SAID] * 4)
    assert "between us" not in str(raised.value)


async def test_a_duplicate_of_another_key_is_not_stored_and_its_value_is_not_told() -> None:
    known = {"index": 0, "code": DUPLICATE_KEY, "errmsg": "duplicate key", "keyPattern": {"_id": 1}}
    other = {"index": 1, "code": DUPLICATE_KEY, "errmsg": "dup: between us", "keyPattern": {"message": 1}}
    with pytest.raises(StoreUnavailable, match=r"a unique index refuses it: \{'message': 1\}") as raised:
        await store_of(Failing(writeErrors=[known, other])).insert_new("messages", [SAID] * 2)
    assert "between us" not in str(raised.value)
    assert await store_of(Failing(writeErrors=[known])).insert_new("messages", [SAID]) == 1


@pytest.mark.parametrize(
    "options",
    [
        "readPreference=secondaryPreferred&readPreferenceTags=dc:near",
        "w=1",
        "w=0&retryWrites=false",
        # A shard then also answers with documents that it has handed to another one: messages come twice.
        "readConcernLevel=available",
    ],
)
async def test_a_uri_changes_neither_who_is_asked_nor_how_many_must_have_a_write(options: str) -> None:
    settings = MongoSettings(mongodb_uri=SecretStr(f"mongodb://nowhere.invalid/?{options}"))
    async with open_store(settings) as store:
        asked = store._database["messages"]
        assert asked.read_preference == ReadPreference.PRIMARY
        assert asked.read_concern == ReadConcern("local")
        assert asked.write_concern.document == {"w": "majority"}


@pytest.mark.parametrize(
    "uri",
    [
        "mongodb://nowhere.invalid:99999",
        "mongodb://::1:27017",
        "mongodb://user:a:b@nowhere.invalid",
        "mongodb://user:a@b@nowhere.invalid",
    ],
)
async def test_a_uri_that_cannot_be_read_ends_the_service_without_its_secret_and_says_what_is_usual(
    uri: str,
) -> None:
    usual = (
        "are special characters of its user and password percent-encoded (%40 for @), "
        "and addresses of IPv6 in brackets?"
    )
    with pytest.raises(Fatal, match=f"^{re.escape(f'MONGODB_URI is not valid: {usual}')}$"):
        async with open_store(MongoSettings(mongodb_uri=SecretStr(uri))):
            pass


async def test_a_uri_that_names_a_missing_file_says_by_which_option() -> None:
    uri = SecretStr("mongodb://nowhere.invalid/?tls=true&tlsCAFile=/nowhere/ca.pem")
    with pytest.raises(Fatal, match=r"^MONGODB_URI names a file that cannot be read: .*tlscafile"):
        async with open_store(MongoSettings(mongodb_uri=uri)):
            pass
