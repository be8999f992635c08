"""``GET /table`` on the ops port: what the dispatcher knows, as JSON, for operators with the token.

It answers from memory. A dispatcher that stands by shows the published table and no edges.
"""

from hmac import compare_digest
from typing import Any

from aiohttp import web

from dispatcher.leadership import Leadership
from dispatcher.settings import DispatcherSettings
from dispatcher.term import Term
from runtime.assignments import Assignments
from runtime.refusing import answer
from schemas.assignments import Shard
from schemas.refusals import INVALID_TOKEN, MISSING_TOKEN, Refused


def add_routes(
    app: web.Application,
    settings: DispatcherSettings,
    leadership: Leadership,
    published: Assignments,
) -> None:
    """Serve ``/table`` from ``app``."""
    token = settings.dispatcher_token.get_secret_value()

    async def table(request: web.Request) -> web.Response:
        try:
            check_token(request.headers.get("Authorization"), token)
        except Refused as refused:
            return web.json_response(answer(refused), status=refused.refusal.status)
        return web.json_response(shown(leadership, published))

    app.router.add_get("/table", table)


def check_token(authorization: str | None, token: str) -> None:
    """Raise `Refused` where ``Authorization`` is not this bearer token."""
    scheme, _, given = (authorization or "").partition(" ")
    if scheme.lower() != "bearer" or not given:
        raise Refused(MISSING_TOKEN)
    if not compare_digest(given.strip().encode(), token.encode()):
        raise Refused(INVALID_TOKEN)


def shown(leadership: Leadership, published: Assignments) -> dict[str, Any]:
    """Return the leader's own table, or on a standby the published one."""
    leader = leadership.leader
    if leader is not None and leader.term is not None:
        return show_term(leader.term, leader.clock.now)
    newest = published.table
    return {
        "leading": False,
        "epoch": newest.epoch if newest else None,
        "version": newest.version if newest else None,
        "shards": _shards(newest.shards) if newest else [],
        "edges": [],
        "moves": [],
    }


def show_term(term: Term, now: float) -> dict[str, Any]:
    """Return a leader's table, its edges and the last moves, newest first."""
    return {
        "leading": True,
        "epoch": term.epoch,
        "version": term.version,
        "shards": _shards(term.table.shards),
        "edges": [
            {
                "edge": edge,
                "url": known.url,
                "state": known.state,
                "connected": known.report.connected if known.report else None,
                "capacity": known.report.capacity if known.report else None,
                "report_age_s": round(max(0.0, now - known.heard_at), 1) if known.report else None,
            }
            for edge, known in sorted(term.reports.edges.items())
        ],
        "moves": [
            {
                "shard": move.label,
                "from": move.from_edge,
                "to": move.to_edge,
                "reason": move.reason,
                "age_s": round(now - at, 1),
            }
            for at, move in reversed(term.last_moves)
        ],
    }


def _shards(shards: tuple[Shard, ...]) -> list[dict[str, Any]]:
    return [
        {"shard": shard.label, "start": shard.start, "end": shard.end, "edge": shard.edge} for shard in shards
    ]
