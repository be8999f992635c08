"""Makes a refusal's answer to the client, its log line under the same request id, and its count."""

import logging
import time
from typing import Any, Final

import orjson
from aiohttp import web

from runtime import logs, metrics
from runtime.budgets import Budget
from schemas.ids import new_id
from schemas.refusals import INTERNAL, OVERLOADED, Refused

log = logging.getLogger(__name__)

LINES_PER_S: Final = 20.0
LINES_AT_ONCE: Final = 500
_lines: Final = Budget(LINES_PER_S, LINES_AT_ONCE)
"""Bounds the refusals that are logged at INFO, as clients can cause any number of them. All are counted."""


class CountedElsewhere(Refused):
    """A refusal that another metric counts.

    In ``chat_refusals_total`` its code would wake an operator, although no message was refused.
    """


class NoCapacity(CountedElsewhere):
    """``overloaded`` for a client that is not connected yet, and has to connect later or elsewhere.

    It is counted as the limit that was hit.
    """

    def __init__(self) -> None:
        super().__init__(OVERLOADED)


def answer(error: Exception, **facts: object) -> dict[str, Any]:
    """Return an `ErrorAnswer` as a dict, and log and count it. Any error but a `Refused` is ``internal``."""
    request_id = new_id()
    if isinstance(error, Refused):
        refused = error
        level = logging.DEBUG if error.refusal.floods or not _lines.take(time.monotonic()) else logging.INFO
        if error.__cause__ is not None:
            # Its class alone: its text may repeat what was sent, and nobody may see a token.
            facts["cause"] = type(error.__cause__).__name__
        log.log(level, "refused", extra=logs.facts(request_id=request_id, reason=str(error), **facts))
    else:
        refused = Refused(INTERNAL)
        log.error("failed unexpectedly", exc_info=error, extra=logs.facts(request_id=request_id, **facts))
    if not isinstance(refused, CountedElsewhere):
        metrics.REFUSALS.labels(code=refused.refusal.code).inc()
    return {"error": refused.body(request_id).model_dump(exclude_none=True)}


def response(refused: Refused, **facts: object) -> web.Response:
    """Return the response to a refused request, with its request id and ``Retry-After``."""
    body = answer(refused, **facts)
    headers = {"X-Request-Id": body["error"]["request_id"]}
    if refused.retry_after_s is not None:
        headers["Retry-After"] = str(refused.retry_after_s)
    return web.Response(
        body=orjson.dumps(body),
        status=refused.refusal.status,
        headers=headers,
        content_type="application/json",
    )
