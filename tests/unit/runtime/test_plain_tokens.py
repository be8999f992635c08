"""The short way says yes only where the library does, and it is really gone by plain tokens."""

import base64
import hmac
import json
import time
from typing import Any

import jwt
import orjson
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import SecretStr

from runtime.plain_tokens import MAX_HEADERS, PlainTokens
from runtime.settings import TokenSettings
from runtime.tokens import Identity, TokenVerifier
from schemas.refusals import Refused

SECRET = "a-secret-for-tests-of-32-bytes-or-more"
UP = "up202000001"
NOW = time.time()
A_DAY_S = 86_400

moments = st.one_of(
    st.sampled_from([NOW - A_DAY_S, NOW + A_DAY_S, int(NOW) + A_DAY_S, str(NOW + A_DAY_S), 1e300, -1]),
    st.sampled_from([None, True, 2**70, [], "later"]),
)
claim = {
    "sub": st.sampled_from([UP, UP.upper(), "root", 7, None, ""]),
    "exp": moments,
    "iat": moments,
    "nbf": moments,
    "aud": st.sampled_from(["chat", "mail", ["chat"], None, 7]),
    "iss": st.sampled_from(["uni", "other", None, 7]),
    "role": st.just("admin"),
    "jti": st.sampled_from(["1", 1]),
}
claims = st.fixed_dictionaries({}, optional=claim)
who_is_meant = st.sampled_from([(None, None), ("chat", None), ("chat", "uni"), (None, "uni")])


def encoded(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def signed(payload: bytes | str, secret: str = SECRET, header: dict[str, Any] | None = None) -> str:
    """Return a token of any payload: bytes, or a text that stands as it is where base64 should."""
    head = encoded(orjson.dumps(header or {"alg": "HS256", "typ": "JWT"}))
    text = f"{head}.{payload if isinstance(payload, str) else encoded(payload)}"
    return f"{text}.{encoded(hmac.digest(secret.encode(), text.encode(), 'sha256'))}"


def verifier(meant: tuple[str | None, str | None], *, taught: bool) -> TokenVerifier:
    audience, issuer = meant
    made = TokenVerifier(
        TokenSettings(token_secret=SecretStr(SECRET), token_audience=audience, token_issuer=issuer)
    )
    if taught:
        made._plain.learn(signed(b"{}"))
    else:
        made._plain.learn = lambda token: None  # type: ignore[method-assign]
    return made


def outcome(of: TokenVerifier, token: str) -> Identity | str:
    try:
        return of.verify(token)
    except Refused as refused:
        return refused.refusal.code


GOOD = {"sub": UP, "exp": NOW + A_DAY_S}


@given(claims, who_is_meant)
@example(GOOD, (None, None))
@example({**GOOD, "aud": "chat", "iss": "uni"}, ("chat", "uni"))
@example({**GOOD, "aud": "chat"}, (None, None))
@example({**GOOD, "nbf": NOW + A_DAY_S}, (None, None))
def test_the_short_way_and_the_library_agree_on_every_token_of_our_issuer(
    said: dict[str, Any], meant: tuple[str | None, str | None]
) -> None:
    token = signed(json.dumps(said).encode())
    assert outcome(verifier(meant, taught=True), token) == outcome(verifier(meant, taught=False), token)


@given(st.data())
def test_they_agree_on_every_token_that_somebody_has_changed(data: st.DataObject) -> None:
    token = signed(orjson.dumps(GOOD))
    at = data.draw(st.integers(0, len(token) - 1))
    changed = token[:at] + data.draw(st.text(max_size=2)) + token[at + 1 :]
    taught, untaught = (verifier((None, None), taught=one) for one in (True, False))
    assert outcome(taught, changed) == outcome(untaught, changed)


@pytest.mark.parametrize(
    "token",
    [
        signed(orjson.dumps(GOOD), secret="another-secret-of-32-bytes-or-more-1"),
        signed(orjson.dumps(GOOD)) + "=",
        signed(orjson.dumps(GOOD)) + ".x",
        signed(encoded(orjson.dumps(GOOD)) + "=="),
        signed("!" + encoded(orjson.dumps(GOOD))),
        signed(orjson.dumps([GOOD])),
        signed(b'{"sub":"up202000001","exp":1e400}'),
        signed(b"not json"),
        signed(b""),
        signed(orjson.dumps(GOOD), header={"alg": "none"}),
    ],
)
def test_nothing_but_a_plain_token_goes_the_short_way(token: str) -> None:
    assert verifier((None, None), taught=True)._plain.claims(token, NOW) is None


def test_a_plain_token_goes_the_short_way_once_the_library_has_seen_its_like() -> None:
    plain = PlainTokens(SECRET, "sub", None, None)
    token = jwt.encode({**GOOD, "iat": NOW - 1}, SECRET, "HS256")
    assert plain.claims(token, NOW) is None
    plain.learn(token)
    assert plain.claims(token, NOW) == {**GOOD, "iat": NOW - 1}


def test_only_so_many_headers_are_kept() -> None:
    plain = PlainTokens(SECRET, "sub", None, None)
    tokens = [jwt.encode(GOOD, SECRET, "HS256", headers={"kid": str(n)}) for n in range(MAX_HEADERS + 5)]
    for token in tokens:
        plain.learn(token)
    assert sum(plain.claims(token, NOW) is not None for token in tokens) == MAX_HEADERS
