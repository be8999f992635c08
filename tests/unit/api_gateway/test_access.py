"""Who is calling, and how long that is believed."""

import time
from functools import partial

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from api_gateway.access import KnownTokens, RateLimiter, identify_solution
from runtime.settings import TokenSettings
from runtime.tokens import Identity, TokenVerifier
from schemas.refusals import EXPIRED_TOKEN, INVALID_TOKEN, MISSING_TOKEN, RATE_LIMITED, Refused
from tests.unit.refusing import refuses

SECRET = "a-secret-of-more-than-thirty-two-bytes"
A_DAY_S = 86_400
"""Claims of parametrized tests are made when the tests are collected, which may be long before they run."""


class CountingVerifier(TokenVerifier):
    """Believes ``Bearer <up> <expires at>``, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.now = 0.0

    def verify(self, token: str | None) -> Identity:
        self.asked += 1
        up, expires_at = (token or "").split(" ")
        if float(expires_at) <= self.now:
            raise Refused(EXPIRED_TOKEN)
        return Identity(up, float(expires_at))


def known_tokens(verifier: CountingVerifier, size: int = 100, trust_s: float = 60.0) -> KnownTokens:
    return KnownTokens(verifier, size=size, trust_s=trust_s, clock=lambda: verifier.now)


@given(
    expires_at=st.floats(1, 500),
    trust_s=st.floats(1, 500),
    times=st.lists(st.floats(0, 600), min_size=1, max_size=20).map(sorted),
)
def test_a_known_token_is_believed_exactly_as_long_as_the_verifier_would(
    expires_at: float, trust_s: float, times: list[float]
) -> None:
    verifier = CountingVerifier()
    tokens = known_tokens(verifier, trust_s=trust_s)
    for now in times:
        verifier.now = now
        if now < expires_at:
            assert tokens.identify(f"Bearer up1 {expires_at}") == "up1"
        else:
            with refuses(EXPIRED_TOKEN):
                tokens.identify(f"Bearer up1 {expires_at}")


def test_a_known_token_is_verified_again_once_its_trust_is_over() -> None:
    verifier = CountingVerifier()
    tokens = known_tokens(verifier, trust_s=60)
    for now, asked in ((0.0, 1), (59.0, 1), (60.0, 2), (100.0, 2), (120.0, 3)):
        verifier.now = now
        tokens.identify("Bearer up1 1000")
        assert verifier.asked == asked


@given(ups=st.lists(st.integers(0, 20), max_size=60), size=st.integers(1, 10))
def test_known_tokens_never_grow_past_their_bound_and_never_mix_up_bearers(ups: list[int], size: int) -> None:
    tokens = known_tokens(CountingVerifier(), size=size)
    for up in ups:
        assert tokens.identify(f"Bearer up{up} 1000") == f"up{up}"
        assert len(tokens._known) <= size


def test_a_token_is_not_kept_once_it_is_refused() -> None:
    verifier = CountingVerifier()
    tokens = known_tokens(verifier)
    tokens.identify("Bearer up1 5")
    verifier.now = 10
    with pytest.raises(Refused):
        tokens.identify("Bearer up1 5")
    assert len(tokens._known) == 0


def test_a_token_that_was_refused_once_is_looked_at_anew() -> None:
    """It may have come before its time."""
    verifier = CountingVerifier()
    tokens = known_tokens(verifier)
    verifier.now = 10
    with pytest.raises(Refused):
        tokens.identify("Bearer up1 5")
    verifier.now = 0
    assert tokens.identify("Bearer up1 5") == "up1"


def test_one_token_takes_one_place_however_it_is_spaced() -> None:
    """Otherwise one student's headers, of 8 KiB of spaces each, would push everybody's tokens out."""
    claims = {"sub": "up201906045", "exp": time.time() + A_DAY_S}
    token = jwt.encode(claims, SECRET, "HS256")
    tokens = KnownTokens(TokenVerifier(TokenSettings(token_secret=SecretStr(SECRET))), size=100, trust_s=60.0)
    for spaces in (" ", "  ", " \t", " " * 7_000):
        assert tokens.identify(f"Bearer{spaces}{token}") == "up201906045"
    assert len(tokens._known) == 1


def test_the_most_recently_used_tokens_stay() -> None:
    verifier = CountingVerifier()
    tokens = known_tokens(verifier, size=2)
    for up in ("up1", "up2", "up1", "up3"):
        tokens.identify(f"Bearer {up} 1000")
    asked = verifier.asked
    for up in ("up1", "up3"):
        tokens.identify(f"Bearer {up} 1000")
    assert verifier.asked == asked


@pytest.mark.parametrize("header", [None, "", "Bearer", "Bearer ", "Basic dXA6dXA="])
def test_no_token_is_a_missing_token(header: str | None) -> None:
    verifier = TokenVerifier(TokenSettings(token_secret=SecretStr(SECRET)))
    identify_student = KnownTokens(verifier, size=10, trust_s=60).identify
    for identify in (identify_student, partial(identify_solution, "s" * 20)):
        with refuses(MISSING_TOKEN):
            identify(header)


def test_only_the_service_token_is_the_service_token() -> None:
    assert identify_solution("the-service-token", "Bearer the-service-token") == "solution"
    with refuses(INVALID_TOKEN):
        identify_solution("the-service-token", "Bearer another-token")


def test_a_caller_within_their_budget_passes_whoever_else_is_past_theirs() -> None:
    now = 0.0
    paced = RateLimiter(lambda header: header or "", per_s=0.5, burst=2, clock=lambda: now)
    assert [paced.identify("up1") for _ in range(2)] == ["up1", "up1"]
    with refuses(RATE_LIMITED) as refused:
        paced.identify("up1")
    assert refused.value.retry_after_s == 4
    assert paced.identify("up2") == "up2"
    now = 4.0
    assert paced.identify("up1") == "up1"
