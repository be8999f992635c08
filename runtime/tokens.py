"""Verifies tokens: who their bearer is. Identity comes from here alone.

Tokens are JWTs by an allow-list of algorithms: HS256 with the shared secret, RS256 and ES256 with public keys
from a JWKS file or URL, which is read again every few minutes so that rotated keys are noticed.
"""

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

import aiohttp
import jwt
from pydantic import FiniteFloat, TypeAdapter

from runtime import logs, metrics
from runtime.health import waiting_for
from runtime.service import Fatal, Service
from runtime.settings import TokenSettings
from schemas.client_events import MAX_TOKEN_CHARS
from schemas.refusals import EXPIRED_TOKEN, INVALID_TOKEN, MISSING_TOKEN, Refused
from schemas.up_number import UpNumber

log = logging.getLogger(__name__)

JWKS_EVERY_S: Final = 300.0
JWKS_AGAIN_S: Final = 2.0
JWKS_TIMEOUT_S: Final = 10.0

_UP = TypeAdapter[str](UpNumber)
_SECONDS = TypeAdapter[float](FiniteFloat)
_UNREADABLE: Final = (OSError, aiohttp.ClientError, TimeoutError, ValueError, TypeError, jwt.PyJWTError)


@dataclass(frozen=True, slots=True)
class Identity:
    """A token's bearer, until ``expires_at`` (seconds since 1970)."""

    up: str
    expires_at: float


class TokenVerifier:
    """Checks tokens, once it has been started."""

    def __init__(self, settings: TokenSettings, clock: Callable[[], float] = time.monotonic) -> None:
        self._settings = settings
        self._clock = clock
        self._keys_read_at = 0.0
        self._secret = settings.token_secret.get_secret_value() if settings.token_secret else ""
        self._keys: dict[str | None, jwt.PyJWK] = {}

    async def start(self, service: Service) -> None:
        """Load the public keys and keep them fresh, if there are any.

        A URL is tried until it answers. Raises `Fatal` if a file cannot be read.
        """
        source = self._settings.token_jwks
        if source is not None:
            await self._wait_for_keys(source)
            metrics.TOKEN_KEYS_AGE_SECONDS.set_function(lambda: self._clock() - self._keys_read_at)
            service.supervise("refresh token keys", partial(self._refresh, source))

    def verify(self, token: str | None) -> Identity:
        """Return the bearer's identity. Raises `Refused`: missing, invalid or expired token."""
        if not token:
            raise Refused(MISSING_TOKEN)
        if len(token) > MAX_TOKEN_CHARS:
            raise Refused(INVALID_TOKEN)
        try:
            claims = self._decode(token)
            up = _UP.validate_python(claims[self._settings.token_up_claim])
            expires_at = _SECONDS.validate_python(claims["exp"])
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            raise Refused(INVALID_TOKEN) from error
        if expires_at <= time.time():
            raise Refused(EXPIRED_TOKEN)
        return Identity(up, expires_at)

    def _decode(self, token: str) -> Mapping[str, Any]:
        settings = self._settings
        algorithm, key = self._key(token)
        return jwt.decode(
            token,
            key,
            algorithms=[algorithm],
            audience=settings.token_audience,
            issuer=settings.token_issuer,
            leeway=settings.token_leeway_s,
            options={
                "require": ["exp", settings.token_up_claim],
                # The end has no leeway: connections are closed by it, and must not be accepted again.
                "verify_exp": False,
                "verify_aud": settings.token_audience is not None,
            },
        )

    def _key(self, token: str) -> tuple[str, str | jwt.PyJWK]:
        """Return the one algorithm that this token may have, and its key.

        The key is chosen by the algorithm first: a public key can never serve as a shared secret. Where only
        one algorithm is accepted there is no choice: the library refuses the others.
        """
        if self._settings.token_algorithms == ("HS256",):
            return "HS256", self._secret
        header = jwt.get_unverified_header(token)
        algorithm = header.get("alg")
        if algorithm not in self._settings.token_algorithms:
            raise jwt.InvalidAlgorithmError("algorithm not allowed")
        if algorithm == "HS256":
            return algorithm, self._secret
        key = self._keys.get(header.get("kid"))
        if key is None or key.algorithm_name != algorithm:
            raise jwt.InvalidKeyError("no such key")
        return algorithm, key

    async def _wait_for_keys(self, source: str) -> None:
        with waiting_for("TOKEN_JWKS") as set_reason:
            while True:
                try:
                    return await self._read_keys(source)
                except _UNREADABLE as error:
                    if not _is_url(source):
                        raise Fatal(f"the keys at TOKEN_JWKS cannot be read: {error!r}") from error
                    set_reason(type(error).__name__)
                    log.warning("token keys cannot be read yet", extra=logs.facts(error=repr(error)))
                await asyncio.sleep(JWKS_AGAIN_S)

    async def _read_keys(self, source: str) -> None:
        self._keys = await _load_keys(source)
        self._keys_read_at = self._clock()

    async def _refresh(self, source: str) -> None:
        while True:
            await asyncio.sleep(JWKS_EVERY_S)
            try:
                await self._read_keys(source)
            except _UNREADABLE as error:
                log.error("token keys cannot be refreshed", extra=logs.facts(error=repr(error)))


async def _load_keys(source: str) -> dict[str | None, jwt.PyJWK]:
    if _is_url(source):
        text = await _fetch(source)
    else:
        text = await asyncio.to_thread(Path(source).read_text)
    keys = json.loads(text)
    if not isinstance(keys, dict):
        raise ValueError("no JWKS")  # noqa: TRY004 - it was read, and is no more one than a broken text
    return {key.key_id: key for key in jwt.PyJWKSet.from_dict(keys).keys}


def _is_url(source: str) -> bool:
    return source.startswith("https://")


async def _fetch(url: str) -> str:
    timeout = aiohttp.ClientTimeout(total=JWKS_TIMEOUT_S)
    async with (
        aiohttp.ClientSession(timeout=timeout) as session,
        # A redirect may lead to a page without TLS, where anybody in between could give us keys of their own.
        session.get(url, allow_redirects=False) as response,
    ):
        response.raise_for_status()
        if response.status != HTTPStatus.OK:
            raise ValueError(f"{url} answers {response.status}: redirects are not followed")
        return await response.text()
