"""The one table of refusals: every error that a client can see, over REST and sockets alike.

A refusal has a stable code, a short text for people and an id under which the log has the details. It never
contains a stack trace, a secret or an internal address.
"""

from dataclasses import dataclass
from typing import Final, TypeVar

from pydantic import BaseModel, Field, ValidationError
from pydantic.json_schema import SkipJsonSchema

MAX_DETAIL_CHARS: Final = 300
"""A detail may contain a field's name as the client wrote it, which may be of any length."""
MAX_WHERE_CHARS: Final = 100
"""Maximum length of a field's name, so that the fault fits behind it."""

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Refusal:
    """One row: what the client is told, the HTTP status, and whether the same request may work later."""

    code: str
    status: int
    message: str
    retry_after_s: int | None = None
    floods: bool = False
    """Whether it usually comes in large numbers: then it is counted, but logged at the level debug."""


BAD_JSON: Final = Refusal("bad_json", 400, "This is not valid JSON of valid Unicode.")
BAD_REQUEST: Final = Refusal("bad_request", 400, "This is not a readable HTTP request.", floods=True)
INVALID_PAYLOAD: Final = Refusal("invalid_payload", 422, "A field is missing or wrong.")
TOO_LARGE: Final = Refusal("too_large", 413, "This is larger than allowed.")
UNKNOWN_EVENT: Final = Refusal("unknown_event", 400, "There is no such event.")
MISSING_TOKEN: Final = Refusal("missing_token", 401, "A token is needed.")
INVALID_TOKEN: Final = Refusal("invalid_token", 401, "This token is not valid.")
EXPIRED_TOKEN: Final = Refusal("expired_token", 401, "This token has expired.")
UP_MISMATCH: Final = Refusal("up_mismatch", 403, "This UP number is not the token's.")
NOT_A_MEMBER: Final = Refusal("not_a_member", 403, "Only members of the group may do this.")
NOT_ALLOWED: Final = Refusal("not_allowed", 403, "This is not allowed.")
NOT_FOUND: Final = Refusal("not_found", 404, "There is no such thing.")
METHOD_NOT_ALLOWED: Final = Refusal("method_not_allowed", 405, "This method is not allowed here.")
RATE_LIMITED: Final = Refusal(
    "rate_limited", 429, "Too many requests. Wait before the next one.", retry_after_s=1, floods=True
)
SLOW_REQUEST: Final = Refusal("slow_request", 408, "The request came too slowly.")
UNSUPPORTED_ENCODING: Final = Refusal("unsupported_encoding", 415, "Only uncompressed bodies are accepted.")
SLOW_CLIENT: Final = Refusal("slow_client", 408, "Messages were read too slowly.")
TOO_MANY_CONNECTIONS: Final = Refusal(
    "too_many_connections", 409, "You have too many connections: this one is the oldest."
)
OVERLOADED: Final = Refusal(
    "overloaded", 503, "The system is overloaded. Try again.", retry_after_s=1, floods=True
)
UNAVAILABLE: Final = Refusal(
    "unavailable",
    503,
    "Messages cannot be stored right now. Retry with the same id.",
    retry_after_s=2,
)
HISTORY_UNAVAILABLE: Final = Refusal(
    "history_unavailable", 503, "History cannot be read right now.", retry_after_s=5
)
NO_EDGE: Final = Refusal("no_edge", 503, "No chat server is available yet.", retry_after_s=2)
INTERNAL: Final = Refusal("internal", 500, "Something went wrong on our side.")

TABLE: Final[dict[str, Refusal]] = {
    row.code: row for row in tuple(globals().values()) if isinstance(row, Refusal)
}


class RefusalBody(BaseModel):
    """What a refused client reads under ``error``."""

    code: str = Field(description="Stable, for programs.")
    message: str = Field(description="Short, for people.")
    request_id: str = Field(description="Names this refusal in our logs.")
    retry_after: int | SkipJsonSchema[None] = Field(
        default=None, description="Seconds after which the same may work; left out where it never will."
    )


def first_fault(error: ValidationError) -> tuple[str, str]:
    """Return the first wrong field, as ``a.b`` ("" for the whole), and its fault.

    Of the input it contains only names of fields.
    """
    first = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ".".join(str(part) for part in first["loc"]), first["msg"]


class ErrorAnswer(BaseModel):
    """The body of every refused request, and the ack of every refused event."""

    error: RefusalBody


class Refused(Exception):
    """Raised where a request or an event is refused; the outermost layer turns it into an answer."""

    def __init__(
        self, refusal: Refusal, detail: str | None = None, *, retry_after_s: int | None = None
    ) -> None:
        self.refusal = refusal
        self.retry_after_s = refusal.retry_after_s if retry_after_s is None else retry_after_s
        """The row's value, unless the caller gives another one."""
        self.detail = detail and detail[:MAX_DETAIL_CHARS]
        super().__init__(f"{refusal.code}: {self.detail or refusal.message}")

    def body(self, request_id: str) -> RefusalBody:
        """Return what the client reads. A detail replaces the table's text; it must be safe to show."""
        message = self.refusal.message if self.detail is None else self.detail
        return RefusalBody(
            code=self.refusal.code,
            message=message,
            request_id=request_id,
            retry_after=self.retry_after_s,
        )


def checked(kind: type[Model], given: object, within: str = "") -> Model:
    """Return ``given`` as a model. ``within`` is its place in the payload, for error texts.

    Raises `Refused` that names the first wrong field.
    """
    try:
        return kind.model_validate(given)
    except ValidationError as error:
        field, what = first_fault(error)
        where = ".".join(filter(None, (within, field)))[:MAX_WHERE_CHARS]
        raise Refused(INVALID_PAYLOAD, f"{where or 'body'}: {what}") from error
