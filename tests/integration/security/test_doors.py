"""No forged token opens any door, and nobody reaches what is not theirs, on any route or event."""

import base64
import hmac
import json
import logging
import time
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from api_gateway.app import Ports, start
from api_gateway.settings import GatewaySettings
from runtime import tokens
from runtime.service import Service, running
from schemas.asyncapi import FROM_CLIENTS
from tests.integration.api_gateway.gateways import SERVICE_TOKEN, Api, gateway
from tests.integration.backing import Log, new_group, new_up, token
from tests.integration.edge_server.abusers import POLL, raw
from tests.integration.edge_server.edges import ChatClient, edge
from tests.waiting import eventually

HOUR_S = 3_600


class Issuer:
    """Whoever signs tokens: keys by their name, of which some are published."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.keys = {name: rsa.generate_private_key(65_537, 2_048) for name in ("old", "new", "unpublished")}

    def publish(self, *names: str) -> None:
        """Let these keys, and no others, be known."""
        keys = []
        for name in names:
            public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.keys[name].public_key()))
            keys.append({**public, "kid": name, "alg": "RS256", "use": "sig"})
        self._file.write_text(json.dumps({"keys": keys}))

    def sign(self, key: str = "old", *, kid: str | None = None, **changes: Any) -> str:
        """Return a token; it is good but for the changes."""
        claims = {"sub": new_up(), "exp": time.time() + HOUR_S, "aud": "chat", "iss": "issuer", **changes}
        kept = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(kept, self.keys[key], "RS256", headers={"kid": kid or key})

    def pem(self, key: str) -> bytes:
        """Return a public key as everybody may have it."""
        public = self.keys[key].public_key()
        return public.public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )


def _part(content: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(content).encode()).rstrip(b"=").decode()


def signed_by_hand(header: dict[str, Any], key: bytes) -> str:
    """Return an HS256 token, whatever libraries say about the key."""
    claims = {"sub": new_up(), "exp": time.time() + HOUR_S, "aud": "chat", "iss": "issuer"}
    head_and_claims = f"{_part(header)}.{_part(claims)}"
    signature = hmac.new(key, head_and_claims.encode(), sha256).digest()
    return f"{head_and_claims}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def forgeries(issuer: Issuer) -> dict[str, str]:
    """Return bad tokens by what is wrong with them."""
    good = issuer.sign()
    head, claims, signature = good.split(".")
    other = _part({"sub": new_up(), "exp": time.time() + HOUR_S, "aud": "chat", "iss": "issuer"})
    return {
        "unsigned": f"{_part({'alg': 'none', 'typ': 'JWT', 'kid': 'old'})}.{claims}.",
        "unsigned, in capitals": f"{_part({'alg': 'NONE', 'kid': 'old'})}.{claims}.",
        "its signature left out": f"{head}.{claims}.",
        "the public key as a secret": signed_by_hand({"alg": "HS256", "kid": "old"}, issuer.pem("old")),
        "an empty secret": signed_by_hand({"alg": "HS256"}, b""),
        "somebody else's claims": f"{head}.{other}.{signature}",
        "another audience": issuer.sign(aud="library"),
        "no audience": issuer.sign(aud=None),
        "another issuer": issuer.sign(iss="me"),
        "not valid yet": issuer.sign(nbf=time.time() + HOUR_S),
        "expired": issuer.sign(exp=time.time() - 60),
        "without an end": issuer.sign(exp=None),
        "an unknown key": issuer.sign("unpublished"),
        "an unknown key under a known name": issuer.sign("unpublished", kid="old"),
        "a key's name that leads elsewhere": issuer.sign(kid="../../etc/passwd"),
        "no UP number": issuer.sign(sub="admin"),
        "an operator for a UP number": issuer.sign(sub='{"$ne": null}'),
        "no token at all": "x",
        "very long": "x" * 8_000,
    }


async def test_no_forged_token_opens_any_door(log: Log, tmp_path: Path) -> None:
    issuer = Issuer(tmp_path / "jwks.json")
    issuer.publish("old")
    believed = {
        "token_algorithms": ("RS256",),
        "token_jwks": str(tmp_path / "jwks.json"),
        "token_audience": "chat",
        "token_issuer": "issuer",
    }
    opened = []
    async with gateway(**believed) as here, edge(**believed) as there:
        good = await here.public.ask("GET", "/chat/group", bearer=issuer.sign())
        assert good.status == 200, good
        for name, forged in forgeries(issuer).items():
            if (await here.public.ask("GET", "/chat/group", bearer=forged)).status != 401:
                opened.append(f"gateway: {name}")
            async with raw(there) as client:
                await client.send("40" + json.dumps({"token": forged}))
                await eventually("an answer", lambda client=client: len(client.frames) > 1)  # type: ignore[misc]
                if not client.frames[1].startswith("44"):
                    opened.append(f"edge: {name}")
    assert opened == []


async def test_a_withdrawn_key_s_tokens_are_refused_soon_and_a_new_key_s_taken(
    log: Log, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tokens, "JWKS_EVERY_S", 0.1)
    issuer = Issuer(tmp_path / "jwks.json")
    issuer.publish("old")
    old, new = issuer.sign("old", aud=None), issuer.sign("new", aud=None)
    believed = {"token_algorithms": ("RS256",), "token_jwks": str(tmp_path / "jwks.json")}
    async with gateway(**believed, known_token_s=0.2) as here:

        async def statuses() -> tuple[int, int]:
            answers = [await here.public.ask("GET", "/chat/group", bearer=one) for one in (old, new)]
            return answers[0].status, answers[1].status

        assert await statuses() == (200, 401)
        issuer.publish("new")
        deadline = time.monotonic() + 30
        while await statuses() != (401, 200):
            assert time.monotonic() < deadline


def operations(api: Api, **names: str) -> list[tuple[str, str]]:
    """Return every operation of a document, with names put into its path, and a query where it needs one."""
    found = []
    for template, methods in api._document["paths"].items():
        path = template
        for name, value in names.items():
            path = path.replace("{" + name + "}", value)
        for method, operation in methods.items():
            given = operation.get("parameters", [])
            needed = [one["name"] for one in given if one["in"] == "query" and one["required"]]
            query = "?" + "&".join(f"{name}=1" for name in needed) if needed else ""
            found.append((method.upper(), path + query))
    return found


async def test_without_the_right_token_every_route_is_closed(log: Log) -> None:
    names = {"group": new_group(), "up": new_up(), "id": "m1"}
    async with gateway() as here:
        for api, wrong in (
            (here.public, (None, "x", SERVICE_TOKEN, token(new_up(), secret="y" * 40))),
            (here.internal, (None, "x", token(new_up()), SERVICE_TOKEN[:-1], SERVICE_TOKEN + "x")),
        ):
            for method, path in operations(api, **names):
                for bearer in wrong:
                    answer = await api.ask(method, path, bearer=bearer, data={})
                    assert answer.status == 401, (method, path, bearer, answer)


async def test_the_internal_api_is_off_without_a_service_token(log: Log) -> None:
    settings = GatewaySettings(public_port=0, internal_port=0, service_token=None)
    ports: list[Ports] = []

    async def begin(service: Service) -> None:
        ports.append(await start(service, settings))

    async with running(Service("api_gateway", settings), begin):
        await eventually("the gateway has started", lambda: bool(ports))
        assert ports[0].internal is None


async def test_other_people_s_groups_stay_closed_on_every_route_that_names_one(log: Log) -> None:
    owner, stranger = new_up(), new_up()
    async with gateway(wait_stored_ms=0) as here:
        made = await here.as_user(owner, "POST", "/chat/group", {"name": "ours"})
        for method, path in operations(here.public, group=made.said["id"], up=stranger):
            if made.said["id"] in path:
                answer = await here.as_user(stranger, method, path)
                assert (answer.status, answer.code) == (403, "not_a_member"), (method, path, answer)
        taken = await here.as_user(stranger, "POST", "/chat/group", {"name": "x", "id": made.said["id"]})
        assert taken.status == 403
        assert (await here.as_user(stranger, "GET", "/chat/group")).said == {"groups": []}


async def test_other_people_s_groups_stay_closed_on_every_event(log: Log) -> None:
    group, owner, stranger = new_group(), new_up(), ChatClient(new_up())
    await log.join(group, owner)
    async with edge() as here:
        await stranger.connect(here, since={group: 0}, transports=["websocket"])
        payload = {"up": stranger.up, "room": group, "message": "x", "timestamp": 1, "since": 0}
        of_a_room = [event for event in FROM_CLIENTS if "room" in event.payload.model_fields]
        assert of_a_room
        for event in of_a_room:
            ack = await stranger.call(event.name, payload)
            assert ack["error"]["code"] == "not_a_member", event
        for event in FROM_CLIENTS:
            if "up" in event.payload.model_fields:
                ack = await stranger.call(event.name, {**payload, "up": owner})
                assert ack["error"]["code"] == "up_mismatch", event
        assert group not in stranger.joined
        assert stranger.messages == []


async def test_a_page_of_another_origin_gets_no_socket_where_origins_are_listed(log: Log) -> None:
    async with edge(allowed_origins="https://chat.example, https://app.example") as here:
        async with raw(here, new_up(), headers={"Origin": "https://app.example"}) as friend:
            await eventually("let in", lambda: any(frame.startswith("40") for frame in friend.frames))
        for origin in ("https://evil.example", "https://chat.example.evil.example", "null"):
            with pytest.raises(Exception, match="400"):
                async with raw(here, new_up(), headers={"Origin": origin}):
                    pass


async def test_no_log_line_opens_the_session_of_somebody_who_polls(
    log: Log, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever knows engine.io's session id reads and writes in its student's name, from anywhere."""
    caplog.set_level(logging.INFO)
    async with edge() as here, aiohttp.ClientSession() as session:
        opened = await (await session.get(here.url + POLL)).text()
        sid = json.loads(opened[1:])["sid"]
        for packet in ("40" + json.dumps({"token": token(new_up())}), "42no event"):
            async with session.post(f"{here.url}{POLL}&sid={sid}", data=packet) as answer:
                assert answer.status == 200
    lines = [f"{record.getMessage()} {getattr(record, 'facts', '')}" for record in caplog.records]
    assert any("&sid=" in line for line in lines)
    assert any("bad_json" in line for line in lines)
    assert [line for line in lines if sid in line] == []
