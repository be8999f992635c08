"""Students' tokens: made with the deployment's shared secret, or read from a file."""

import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import jwt

SECRET_VARIABLE: Final = "TOKEN_SECRET"  # noqa: S105 - a variable's name
DAY_S: Final = 24 * 3600.0


class TokenSource:
    """Gives each student a token. ``ups`` names all students; if empty, any may be made up."""

    def __init__(self, secret: str, given: Mapping[str, str], *, lasts_s: float = DAY_S) -> None:
        self._secret = secret
        self._lasts_s = lasts_s
        self._given = dict(given)

    @property
    def ups(self) -> tuple[str, ...]:
        """The students of the token file."""
        return tuple(self._given)

    def token(self, up: str) -> str:
        """Return a student's token, good for ``lasts_s`` seconds where it is made here.

        Raises ValueError where the file has none.
        """
        if up in self._given:
            return self._given[up]
        if not self._secret:
            raise ValueError(f"the file of tokens has none of {up}")
        return jwt.encode({"sub": up, "exp": time.time() + self._lasts_s}, self._secret, "HS256")


def open_tokens(
    file: Path | None, environ: Mapping[str, str] = os.environ, *, lasts_s: float = DAY_S
) -> TokenSource:
    """Return the source of tokens. A file has a UP number and a token a line; others last ``lasts_s``.

    Raises ValueError where there is neither a file nor a secret.
    """
    if file is not None:
        try:
            # Windows begins UTF-8 with a byte order mark, which no student's number has.
            text = file.read_text(encoding="utf-8-sig")
            pairs = [line.split() for line in text.splitlines() if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{file}: {error}") from error
        if not pairs or any(len(pair) != 2 for pair in pairs):
            raise ValueError(f"{file}: a line is a UP number and a token, with a space between")
        return TokenSource("", {up.lower(): token for up, token in pairs})
    secret = environ.get(SECRET_VARIABLE, "")
    if not secret:
        raise ValueError(f"tokens are needed: set {SECRET_VARIABLE}, or give --tokens FILE")
    return TokenSource(secret, {}, lasts_s=lasts_s)
