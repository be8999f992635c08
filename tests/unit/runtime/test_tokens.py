"""Who a token says that its bearer is: only what is signed by our key, in time and meant for us."""

import asyncio
import json
import logging
import time
from contextlib import suppress
from math import isfinite
from pathlib import Path
from typing import Any

import jwt
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from hypothesis import example, given
from hypothesis import strategies as st
from prometheus_client import REGISTRY
from pydantic import SecretStr, ValidationError

from runtime import refusing, tokens
from runtime.health import waits
from runtime.service import Fatal, Service
from runtime.settings import ServiceSettings, TokenSettings
from runtime.tokens import TokenVerifier
from schemas.client_events import MAX_TOKEN_CHARS
from schemas.refusals import Refused
from tests.waiting import eventually

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
UP = "up202000001"
ODD_KEY = '{"keys": [{"kty": "RSA", "alg": ["RS256"]}]}'
A_DAY_S = 86_400
"""Tokens of parametrized tests are made when the tests are collected, which may be long before they run."""


def settings(**changes: Any) -> TokenSettings:
    return TokenSettings(**{"token_secret": SecretStr(SECRET), **changes})


def signed(algorithm: str = "HS256", key: Any = SECRET, kid: str | None = None, **changes: Any) -> str:
    claims = {"sub": UP, "exp": time.time() + A_DAY_S, **changes}
    kept = {name: value for name, value in claims.items() if value is not None}
    return jwt.encode(kept, key, algorithm, headers={"kid": kid} if kid else None)


def refusal(verifier: TokenVerifier, token: str | None) -> str:
    with pytest.raises(Refused) as caught:
        verifier.verify(token)
    return caught.value.refusal.code


def test_a_good_token_names_its_bearer_in_the_one_written_form() -> None:
    assert TokenVerifier(settings()).verify(signed(sub="UP202000001")).up == UP


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (None, "missing_token"),
        ("", "missing_token"),
        (signed(exp=time.time() - A_DAY_S), "expired_token"),
        (signed(exp=None), "invalid_token"),
        (signed(sub=None), "invalid_token"),
        (signed(sub="root"), "invalid_token"),
        (signed(sub="up20200000\N{FULLWIDTH DIGIT ONE}"), "invalid_token"),
        (signed(nbf=time.time() + A_DAY_S), "invalid_token"),
        (signed(iat=time.time() + A_DAY_S), "invalid_token"),
        pytest.param(signed("none", None), "invalid_token", id="algorithm none"),
        (signed("HS512", SECRET * 2), "invalid_token"),
        (signed(key="another-secret-of-32-bytes-or-more-1"), "invalid_token"),
        (signed()[:-3], "invalid_token"),
        pytest.param(signed(note="x" * MAX_TOKEN_CHARS), "invalid_token", id="good, and too long"),
        pytest.param(b"\xff".decode(errors="surrogateescape"), "invalid_token", id="no text"),
    ],
)
def test_anything_else_is_refused_by_name(token: str | None, code: str) -> None:
    assert refusal(TokenVerifier(settings()), token) == code


def test_audience_and_issuer_must_be_ours_where_they_are_set() -> None:
    verifier = TokenVerifier(settings(token_audience="chat", token_issuer="uni"))
    assert verifier.verify(signed(aud="chat", iss="uni")).up == UP
    for claims in ({}, {"aud": "chat"}, {"iss": "uni"}, {"aud": "mail", "iss": "uni"}):
        assert refusal(verifier, signed(**claims)) == "invalid_token"


@pytest.mark.parametrize("claim", ["nbf", "iat"])
def test_a_fresh_token_of_an_issuer_whose_clock_is_ahead_is_good_within_the_leeway(claim: str) -> None:
    def ahead_by(seconds: float) -> str:
        claims: dict[str, Any] = {claim: time.time() + seconds}
        return signed(**claims)

    assert TokenVerifier(settings()).verify(ahead_by(5)).up == UP
    assert refusal(TokenVerifier(settings()), ahead_by(200)) == "invalid_token"
    assert TokenVerifier(settings(token_leeway_s=300)).verify(ahead_by(200)).up == UP


def test_the_end_of_a_token_has_no_leeway() -> None:
    verifier = TokenVerifier(settings(token_leeway_s=300))
    assert refusal(verifier, signed(exp=time.time() - 0.1)) == "expired_token"
    expires_at = time.time() + A_DAY_S + 0.5
    assert verifier.verify(signed(exp=expires_at)).expires_at == expires_at


def test_who_is_nobody_here_is_not_told_that_their_token_has_expired() -> None:
    assert refusal(TokenVerifier(settings()), signed(sub="root", exp=time.time() - 5)) == "invalid_token"


HUGE = 10**400
moments = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.integers(-HUGE, HUGE),
    st.floats(),
    st.text(max_size=5),
    st.integers(-HUGE, HUGE).map(str),
    st.floats().map(str),
    st.lists(st.integers(), max_size=1),
)


@given(st.dictionaries(st.sampled_from(["exp", "iat", "nbf"]), moments))
@example({"exp": HUGE})
@example({"exp": str(HUGE)})
def test_whatever_a_signed_token_says_of_time_it_is_refused_or_ends_at_some_moment(
    times: dict[str, Any],
) -> None:
    claims = {"sub": UP, "exp": time.time() + A_DAY_S, **times}
    token = jwt.PyJWS().encode(json.dumps(claims).encode(), SECRET, "HS256")
    with suppress(Refused):
        assert isfinite(TokenVerifier(settings()).verify(token).expires_at)


@given(st.text(max_size=200))
def test_no_text_is_ever_more_than_refused(text: str) -> None:
    assert refusal(TokenVerifier(settings()), text) in {"missing_token", "invalid_token"}


def an_rsa_key() -> tuple[rsa.RSAPrivateKey, dict[str, str]]:
    """Return a key, and its public part as issuers publish it, under the kid "r"."""
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return private, {
        **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(private.public_key())), "kid": "r", "alg": "RS256",
    }  # fmt: skip


async def test_public_keys_are_chosen_by_kid_and_never_serve_as_a_secret(tmp_path: Path) -> None:
    private, key = an_rsa_key()
    curve = ec.generate_private_key(ec.SECP256R1())
    jwks = tmp_path / "jwks.json"
    keys = [
        key,
        {**json.loads(jwt.algorithms.ECAlgorithm.to_jwk(curve.public_key())), "kid": "e", "alg": "ES256"},
    ]
    jwks.write_text(json.dumps({"keys": keys}))
    verifier = TokenVerifier(settings(token_algorithms=("HS256", "RS256", "ES256"), token_jwks=str(jwks)))
    service = Service("test", ServiceSettings(ops_port=0, log_dir=""))
    await verifier.start(service)
    try:
        assert verifier.verify(signed("RS256", private, "r")).up == UP
        assert verifier.verify(signed("ES256", curve, "e")).up == UP
        assert verifier.verify(signed()).up == UP
        assert refusal(verifier, signed("RS256", private, "other")) == "invalid_token"
        assert refusal(verifier, signed("RS256", private, "e")) == "invalid_token"
        assert refusal(verifier, signed("RS256", private)) == "invalid_token"
        assert refusal(verifier, forged_with_public_key(private.public_key())) == "invalid_token"
        rsa_only = TokenVerifier(settings(token_algorithms=("RS256",), token_jwks=str(jwks)))
        await rsa_only.start(service)
        assert rsa_only.verify(signed("RS256", private, "r")).up == UP
        assert refusal(rsa_only, signed("ES256", curve, "e")) == "invalid_token", "its key alone is no leave"
    finally:
        await service.resources.aclose()


@pytest.mark.parametrize("content", [None, "no JSON", "[]", "{}", '{"keys": []}', ODD_KEY])
async def test_a_service_without_keys_does_not_start_and_says_why(
    tmp_path: Path, content: str | None
) -> None:
    jwks = tmp_path / "jwks.json"
    jwks.write_text(content or "")
    verifier = TokenVerifier(settings(token_algorithms=("RS256",), token_jwks=str(jwks)))
    if content is None:
        jwks.unlink()
    with pytest.raises(Fatal, match="TOKEN_JWKS"):
        await verifier.start(Service("test", ServiceSettings(ops_port=0, log_dir="")))


@pytest.mark.parametrize("answer", [OSError("away"), TimeoutError(), "busy, come back later", ODD_KEY])
async def test_keys_that_come_by_a_url_are_waited_for(
    answer: Exception | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    private, key = an_rsa_key()
    answers: list[Exception | str] = [answer, answer, json.dumps({"keys": [key]})]
    waited_for: list[str | None] = []

    async def fetch(_url: str) -> str:
        waited_for.append(waits())
        one = answers.pop(0)
        if isinstance(one, Exception):
            raise one
        return one

    monkeypatch.setattr(tokens, "_fetch", fetch)
    monkeypatch.setattr(tokens, "JWKS_AGAIN_S", 0.0)
    verifier = TokenVerifier(settings(token_algorithms=("RS256",), token_jwks="https://id.example/keys"))
    service = Service("test", ServiceSettings(ops_port=0, log_dir=""))
    await verifier.start(service)
    assert verifier.verify(signed("RS256", private, "r")).up == UP
    assert all(one and one.startswith("TOKEN_JWKS: ") for one in waited_for)
    assert ["not there yet" in str(one) for one in waited_for] == [True, False, False], "then it says why"
    assert (len(waited_for), waits()) == (3, None)
    await service.resources.aclose()


async def test_a_redirect_is_not_followed_it_may_lead_to_keys_that_came_without_tls() -> None:
    async def redirect(_: web.Request) -> web.Response:
        raise web.HTTPFound("/keys")

    async def keys(_: web.Request) -> web.Response:
        return web.json_response({"keys": []})

    app = web.Application()
    app.add_routes([web.get("/moved", redirect), web.get("/keys", keys)])
    async with TestServer(app) as server:
        assert json.loads(await tokens._fetch(str(server.make_url("/keys")))) == {"keys": []}
        with pytest.raises(ValueError, match="redirects are not followed"):
            await tokens._fetch(str(server.make_url("/moved")))


async def test_keys_that_are_not_read_again_are_said_and_show_their_age(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    _, key = an_rsa_key()
    answers: asyncio.Queue[Exception | str] = asyncio.Queue()

    async def fetch(_url: str) -> str:
        one = await answers.get()
        if isinstance(one, Exception):
            raise one
        return one

    def age_s() -> float | None:
        return REGISTRY.get_sample_value("chat_token_keys_age_seconds")

    now = 1_000.0
    monkeypatch.setattr(tokens, "_fetch", fetch)
    monkeypatch.setattr(tokens, "JWKS_EVERY_S", 0.0)
    url = "https://id.example/keys"
    verifier = TokenVerifier(settings(token_algorithms=("RS256",), token_jwks=url), clock=lambda: now)
    service = Service("test", ServiceSettings(ops_port=0, log_dir=""))
    answers.put_nowait(json.dumps({"keys": [key]}))
    await verifier.start(service)
    now += 4_000.0
    answers.put_nowait(OSError("away"))
    said = ("ERROR", "token keys cannot be refreshed")
    await eventually("it is said", lambda: said in [(one.levelname, one.message) for one in caplog.records])
    assert age_s() == 4_000.0
    answers.put_nowait(json.dumps({"keys": [key]}))
    await eventually("they are new", lambda: age_s() == 0.0)
    await service.resources.aclose()


@pytest.mark.parametrize(
    ("token", "cause"),
    [
        (signed(key="another-secret-of-32-bytes-or-more!"), "InvalidSignatureError"),
        (signed(aud="another"), "InvalidAudienceError"),
        (signed(sub=None, aud="chat"), "MissingRequiredClaimError"),
        (signed(sub="root", aud="chat"), "ValidationError"),
        ("no token", "DecodeError"),
    ],
)
def test_the_log_says_what_is_wrong_with_a_token_and_nothing_that_is_in_it(
    token: str, cause: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    with pytest.raises(Refused) as caught:
        TokenVerifier(settings(token_audience="chat")).verify(token)
    told = refusing.answer(caught.value)["error"]
    (line,) = caplog.records
    facts = {"request_id": told["request_id"], "reason": str(caught.value), "cause": cause}
    assert line.facts == facts  # type: ignore[attr-defined]
    assert cause not in str(told)


def forged_with_public_key(public: rsa.RSAPublicKey) -> str:
    """Sign with HS256 and the public key's text as the secret: the classic confusion of algorithms."""
    pem = public.public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    algorithm = jwt.algorithms.HMACAlgorithm(jwt.algorithms.HMACAlgorithm.SHA256)
    parts = [jwt.utils.base64url_encode(json.dumps({"alg": "HS256", "kid": "r", "typ": "JWT"}).encode())]
    parts.append(jwt.utils.base64url_encode(json.dumps({"sub": UP, "exp": time.time() + 60}).encode()))
    signature = algorithm.sign(b".".join(parts), pem)
    return b".".join([*parts, jwt.utils.base64url_encode(signature)]).decode()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"token_secret": None}, "token_secret"),
        ({"token_secret": SecretStr("x" * 31)}, "token_secret"),
        ({"token_algorithms": ("RS256",)}, "token_jwks"),
        ({"token_algorithms": ("ES256", "HS256"), "token_jwks": ""}, "token_jwks"),
        ({"token_algorithms": ("RS256",), "token_jwks": '{"keys": []}' * 1_000}, "token_jwks"),
    ],
)
def test_settings_that_cannot_check_tokens_are_refused_by_the_setting_s_name(
    changes: dict[str, Any], fault: str
) -> None:
    with pytest.raises(ValidationError) as caught:
        settings(**changes)
    assert [error["loc"] for error in caught.value.errors()] == [(fault,)]


def test_a_secret_is_needed_only_where_it_is_used() -> None:
    made = settings(token_algorithms=("RS256",), token_secret=None, token_jwks=__file__)
    assert refusal(TokenVerifier(made), signed()) == "invalid_token"
