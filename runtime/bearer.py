"""Reads the token in an Authorization header, and checks the one token of a service or of operators."""

from hmac import compare_digest

from schemas.refusals import INVALID_TOKEN, MISSING_TOKEN, Refused


def bearer(authorization: str | None) -> str:
    """Return the token of ``Authorization: Bearer <token>``; an empty text if there is none."""
    scheme, _, token = (authorization or "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def check_bearer(authorization: str | None, secret: str) -> None:
    """Raise `Refused` unless ``Authorization`` bears this one token. Every wrong one takes the same time."""
    token = bearer(authorization)
    if not token:
        raise Refused(MISSING_TOKEN)
    if not compare_digest(token.encode(errors="surrogateescape"), secret.encode()):
        raise Refused(INVALID_TOKEN)
