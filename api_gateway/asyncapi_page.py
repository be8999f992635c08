"""The AsyncAPI document as a page that a person can read, without a script. Pure."""

import re
from collections.abc import Iterator
from html import escape
from typing import Any

Document = dict[str, Any]


def page(document: Document) -> str:
    """Return the HTML of a document of `schemas.asyncapi`."""
    info = document["info"]
    sections = "".join(_channel(document, one) for one in document["channels"].values())
    schemas = "".join(_schema(name, one) for name, one in document["components"]["schemas"].items())
    return f"""<!doctype html>
<html lang="en">
<head>
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width, initial-scale=1">
  <title>{escape(info["title"])}</title>
  <link rel="icon" href="data:,">
  <link rel="stylesheet" href="/asyncapi/asyncapi.css">
</head>
<body>
<main>
<h1>{escape(info["title"])}</h1>
<p>{escape(info["description"])} The same for programs: <a href="/asyncapi.json">/asyncapi.json</a>
(AsyncAPI {escape(document["asyncapi"])}). REST is at <a href="/docs">/docs</a>.</p>
<ul>{"".join(_server(name, one) for name, one in document["servers"].items())}</ul>
{sections}
<h2>Shapes</h2>
{schemas}
</main>
</body>
</html>
"""


def _server(name: str, server: Document) -> str:
    about = [server["description"], *(one["description"] for one in server["variables"].values())]
    return f"<li><b>{escape(name)}</b> ({server['protocol']}): {escape(' '.join(about))}</li>"


def _channel(document: Document, channel: Document) -> str:
    rows = "".join(
        _message(document["components"]["messages"][one["$ref"].rsplit("/", 1)[1]])
        for one in channel["messages"].values()
    )
    return (
        f"<h2>{escape(channel['title'])}</h2><p>{escape(channel['description'])}</p>"
        f"<table><thead><tr><th>message</th><th>shape</th><th>what it says</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _message(message: Document) -> str:
    return (
        f"<tr><td><code>{escape(message['name'])}</code></td><td>{_link(message['payload'])}</td>"
        f"<td>{_with_code(message['summary'])}</td></tr>"
    )


def _schema(name: str, schema: Document) -> str:
    required = set(schema.get("required", []))
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td>{'required' if field in required else ''}</td>"
        f"<td>{', '.join(_kinds(one))}</td><td>{_with_code(one.get('description', ''))}</td></tr>"
        for field, one in schema.get("properties", {}).items()
    )
    return (
        f'<h3 id="{escape(name)}">{escape(name)}</h3>'
        f"<table><thead><tr><th>field</th><th>must</th><th>kind</th><th>what it says</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>"
    )


def _kinds(schema: Document) -> Iterator[str]:
    """Yield what a field may be: links to shapes, or JSON's types with their bounds."""
    if "$ref" in schema:
        yield _link(schema)
    elif "anyOf" in schema:
        for one in schema["anyOf"]:
            yield from _kinds(one)
    elif schema.get("type") == "array":
        yield f"list of {' or '.join(_kinds(schema.get('items', {}))) or 'anything'}"
    elif schema.get("type") == "object" and "additionalProperties" in schema:
        yield f"object of {' or '.join(_kinds(schema['additionalProperties']))}"
    elif "enum" in schema:
        yield " or ".join(f"<code>{escape(str(value))}</code>" for value in schema["enum"])
    else:
        pattern = f" <code>{escape(schema['pattern'])}</code>" if "pattern" in schema else ""
        yield f"{escape(str(schema.get('type', 'anything')))}{pattern}"


def _with_code(text: str) -> str:
    """Return a text as HTML, with parts in backticks as code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def _link(reference: Document) -> str:
    name = escape(reference["$ref"].rsplit("/", 1)[1])
    return f'<a href="#{name}">{name}</a>'
