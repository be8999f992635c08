"""The page has all that the document has, and nothing that it refers to is missing or unescaped."""

import re
from typing import Any

import pytest

from api_gateway.asyncapi_page import page
from schemas import asyncapi
from tests.unit.balanced_html import Balanced

DOCUMENTS = [asyncapi.for_clients(), asyncapi.for_the_solution()]
both = pytest.mark.parametrize("document", DOCUMENTS, ids=["for clients", "for the solution"])


@both
def test_every_message_field_and_server_is_on_the_page(document: dict[str, Any]) -> None:
    parser = Balanced()
    parser.feed(page(document))
    assert parser.open == []
    for message in document["components"]["messages"].values():
        assert message["name"] in parser.text
        assert message["summary"].replace("`", "") in parser.text
    for name, schema in document["components"]["schemas"].items():
        assert name in parser.text
        for field in schema.get("properties", {}):
            assert field in parser.text


def test_what_a_map_holds_is_said() -> None:
    html = page(asyncapi.for_clients())
    joined, auth = (html.partition(f'id="{shape}"')[2] for shape in ("Joined", "ConnectAuth"))
    assert '<td><code>rooms</code></td><td>required</td><td>object of <a href="#RoomJoined">' in joined
    assert "<td><code>since</code></td><td></td><td>object of integer</td>" in auth


@both
def test_every_link_of_the_page_leads_to_a_shape_on_it(document: dict[str, Any]) -> None:
    html = page(document)
    links = set(re.findall(r'href="#(\w+)"', html))
    assert links
    assert links <= set(re.findall(r'id="(\w+)"', html))


def test_what_a_document_says_cannot_become_markup() -> None:
    document = asyncapi.for_clients()
    document["info"]["title"] = "<script>"
    document["components"]["schemas"]["Left"]["properties"]["room"]["description"] = "<b>"
    assert "<script>" not in page(document)
    assert "<td><b></td>" not in page(document)
