"""AsyncAPI 3.0 documents of the socket events and the topics, from the models that read and write them.

Each event or record is a row here; the rest comes from its model. Pure.
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode

from schemas import client_events as events
from schemas import log_records as records
from schemas import topics
from schemas.assignments import TableAssigned
from schemas.json_schema import REF, schemas_of
from schemas.refusals import ErrorAnswer, RefusalBody

Document = dict[str, Any]

VERSION: Final = "3.0.0"
JSON: Final = "application/json"


class Event(NamedTuple):
    """A Socket.IO event. ``ack`` is the answer to a valid one; a refused one gets an `ErrorAnswer`."""

    name: str
    payload: type[BaseModel]
    ack: type[BaseModel] | None = None


class OnTopic(NamedTuple):
    """The records of a topic, their key, and who writes and reads them."""

    topic: str
    records: tuple[type[records.Record], ...]
    key: str
    written_by: str
    read_by: str


FROM_CLIENTS: Final = (
    Event("connect", events.ConnectAuth),
    Event(events.ONLINE, events.GoOnline, events.Ok),
    Event(events.JOIN_ROOM, events.JoinRoom, events.JoinRoomOk),
    Event(events.LEAVE_ROOM, events.LeaveRoom, events.Ok),
    Event(events.CHAT_MESSAGE, events.SendMessage, events.SendMessageOk),
)
FROM_EDGES: Final = (
    Event(events.JOINED, events.Joined),
    Event(events.CHAT_MESSAGE, events.ChatMessage),
    Event(events.LEFT, events.Left),
    Event(events.MOVE, events.Moved),
    Event(events.REFUSED, RefusalBody),
    Event(events.CONNECT_ERROR, events.ConnectRefused),
)
ON_TOPICS: Final = (
    OnTopic(topics.MESSAGES, (records.MessageSent,), "the group", "edges, gateway", "edges, persister"),
    OnTopic(topics.GROUPS, (records.GroupCreated,), "the group", "gateway", "gateway, persister"),
    OnTopic(
        topics.MEMBERSHIPS,
        (records.MemberJoined,),
        "group/up; a tombstone is a leave",
        "gateway",
        "edges, gateway, persister",
    ),
    OnTopic(
        topics.USERS,
        (records.ProfileChanged, records.PresenceChanged),
        "up for names, up/online for presence",
        "gateway, edges",
        "persister",
    ),
    OnTopic(
        topics.EDGE_STATUS,
        (records.EdgeReported, records.DrainAsked, records.EdgesAsked, records.LeaderTicked),
        "the edge, or whoever else writes",
        "edges, operators, the leading dispatcher",
        "dispatcher",
    ),
    OnTopic(
        topics.ASSIGNMENTS,
        (TableAssigned,),
        "table",
        "the leading dispatcher",
        "gateways, edges, dispatchers",
    ),
    OnTopic(
        topics.DEAD_LETTERS,
        (records.DeadLetter,),
        "as in the record that is set aside",
        "persister",
        "operators",
    ),
)


def for_clients() -> Document:
    """Return the document of the socket events: what a client's developer needs."""
    return _document(
        "Uni4all Chat, events", "Ask GET /chat/location for the URL of your edge.", generation=None
    )


def for_the_solution(generation: int = 1) -> Document:
    """Return the document of the socket events and of the topics that are in use in a generation."""
    return _document(
        "Uni4all Chat, events and topics",
        "Topics are read and written inside the solution only.",
        generation=generation,
    )


def _document(title: str, about: str, *, generation: int | None) -> Document:
    """Return a document, with the topics of a generation. None: without topics."""
    servers = {"edge": _edge()}
    channels, operations, messages = _sockets()
    if generation is not None:
        servers["log"] = _log()
        for row in ON_TOPICS:
            channels[row.topic] = _topic(row, topics.in_generation(row.topic, generation))
            operations[f"send.{row.topic}"] = _send(row.topic)
            messages |= {kind.ce_type: _record(kind, row) for kind in row.records}
    return {
        "asyncapi": VERSION,
        "info": {"title": title, "version": "1", "description": about},
        "defaultContentType": JSON,
        "servers": servers,
        "channels": channels,
        "operations": operations,
        "components": {
            "messages": messages,
            "schemas": _schemas(with_topics=generation is not None),
            "securitySchemes": {
                "token": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "Given as auth.token when connecting (ConnectAuth), not as a header.",
                }
            },
        },
    }


def _edge() -> Document:
    return {
        "host": "{edge}",
        "pathname": "/socket.io/",
        "protocol": "ws",
        "description": "Socket.IO, protocol 5: polling, websocket, and the upgrade between them.",
        "variables": {"edge": {"description": "Host and port of the URL that GET /chat/location returns."}},
        "security": [{"$ref": "#/components/securitySchemes/token"}],
    }


def _log() -> Document:
    return {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": "Records are JSON with CloudEvents' headers in their binary form.",
        "variables": {"bootstrap": {"description": "The brokers: KAFKA_BOOTSTRAP_SERVERS."}},
    }


def _sockets() -> tuple[Document, Document, Document]:
    """Return the channels, operations and messages of the socket events."""
    channels: Document = {
        "fromClients": _channel("From clients", FROM_CLIENTS, "client"),
        "acks": {
            "address": None,
            "title": "Acks",
            "description": "What an edge answers to what a client sends.",
            "messages": {"refused": _ref("ack.refused")},
        },
        "fromEdges": _channel("From edges", FROM_EDGES, "edge"),
    }
    operations: Document = {}
    messages: Document = {"ack.refused": _message("ack of a refused event", ErrorAnswer)}
    for event in FROM_CLIENTS:
        key = _key("client", event)
        messages[key] = _message(event.name, event.payload)
        if event.ack is not None:
            ack = f"ack.{_camel(event.name)}"
            messages[ack] = _message(f"ack of {event.name}", event.ack)
            channels["acks"]["messages"][_camel(event.name)] = _ref(ack)
        operations[f"receive.{_camel(event.name)}"] = _receive(event)
    for event in FROM_EDGES:
        messages[_key("edge", event)] = _message(event.name, event.payload)
        operations[f"send.{_camel(event.name)}"] = {
            **_send("fromEdges"),
            "messages": [{"$ref": f"#/channels/fromEdges/messages/{_camel(event.name)}"}],
        }
    return channels, operations, messages


def _channel(title: str, found: Sequence[Event], side: str) -> Document:
    return {
        "address": "/",
        "title": title,
        "description": "Events of Socket.IO's main namespace.",
        "servers": [{"$ref": "#/servers/edge"}],
        "messages": {_camel(event.name): _ref(_key(side, event)) for event in found},
    }


def _send(channel: str) -> Document:
    return {"action": "send", "channel": {"$ref": f"#/channels/{channel}"}}


def _receive(event: Event) -> Document:
    name = _camel(event.name)
    operation: Document = {
        "action": "receive",
        "channel": {"$ref": "#/channels/fromClients"},
        "messages": [{"$ref": f"#/channels/fromClients/messages/{name}"}],
    }
    if event.ack is not None:
        operation["reply"] = {
            "channel": {"$ref": "#/channels/acks"},
            "messages": [{"$ref": f"#/channels/acks/messages/{answer}"} for answer in (name, "refused")],
        }
    return operation


def _message(name: str, payload: type[BaseModel]) -> Document:
    return {
        "name": name,
        "title": payload.__name__,
        "summary": (payload.__doc__ or "").replace("``", "`"),
        "payload": {"$ref": REF.format(model=payload.__name__)},
    }


def _topic(row: OnTopic, kafka_topic: str) -> Document:
    config = topics.ALL[row.topic].config
    kept: Document = {"cleanup.policy": [config["cleanup.policy"]]}
    if "retention.ms" in config:
        kept["retention.ms"] = int(config["retention.ms"])
    return {
        "address": kafka_topic,
        "title": kafka_topic,
        "description": f"Key: {row.key}. Written by: {row.written_by}. Read by: {row.read_by}.",
        "servers": [{"$ref": "#/servers/log"}],
        "messages": {kind.__name__: _ref(kind.ce_type) for kind in row.records},
        "bindings": {"kafka": {"topic": kafka_topic, "topicConfiguration": kept, "bindingVersion": "0.5.0"}},
    }


def _record(kind: type[records.Record], row: OnTopic) -> Document:
    fixed = {"ce_specversion": "1.0", "ce_type": kind.ce_type, "content-type": JSON}
    required: Document = {name: {"type": "string", "const": value} for name, value in fixed.items()}
    required |= {name: {"type": "string"} for name in ("ce_source", "ce_id", "ce_time")}
    traced = {records.TRACEPARENT: {"type": "string", "description": "W3C's, of a record that is traced."}}
    return {
        **_message(kind.ce_type, kind),
        "contentType": JSON,
        "headers": {"type": "object", "properties": required | traced, "required": sorted(required)},
        "bindings": {"kafka": {"key": {"type": "string", "description": row.key}, "bindingVersion": "0.5.0"}},
    }


def _schemas(*, with_topics: bool) -> Document:
    read: list[type[BaseModel]] = [event.payload for event in FROM_CLIENTS]
    written: list[type[BaseModel]] = [ErrorAnswer, *(event.payload for event in FROM_EDGES)]
    written += [event.ack for event in FROM_CLIENTS if event.ack is not None]
    if with_topics:
        written += [kind for row in ON_TOPICS for kind in row.records]
    modes: list[tuple[type[BaseModel], JsonSchemaMode]] = [
        *((model, "validation") for model in dict.fromkeys(read)),
        *((model, "serialization") for model in dict.fromkeys(written)),
    ]
    return schemas_of(modes)


def _ref(message: str) -> Document:
    return {"$ref": f"#/components/messages/{message}"}


def _key(side: str, event: Event) -> str:
    return f"{side}.{_camel(event.name)}"


def _camel(name: str) -> str:
    """Return an event's name as a key: ``chat message`` → ``chatMessage``."""
    first, *rest = name.split()
    return first + "".join(word.capitalize() for word in rest)
