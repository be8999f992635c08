"""Where an edge sends its clients, by the tables that it has seen."""

import pytest
from prometheus_client import REGISTRY

from edge_server.elsewhere import Elsewhere
from runtime.assignments import Assignments
from schemas.assignments import Shard, TableAssigned
from schemas.up_number import CIRCLE
from tests.unit.dispatcher.records import record

HALF = CIRCLE // 2
IN_A, IN_B = "up201906041", "up201906049"
"""Numbers in the lower and in the upper half of the circle."""


def seen_by(edge: str, *, lower: str | None = "a", upper: str | None = "b", known: str = "ab") -> Elsewhere:
    assignments = Assignments()
    elsewhere = Elsewhere(edge, assignments)
    table = TableAssigned(
        epoch=1,
        version=1,
        shards=(Shard(start=0, end=HALF, edge=lower), Shard(start=HALF, end=CIRCLE, edge=upper)),
        urls={name: f"http://{name}" for name in known},
        draining=("a",),
    )
    assignments.take(0, [record(table)])
    return elsewhere


def test_only_those_whose_shard_another_edge_holds_belong_elsewhere() -> None:
    elsewhere = seen_by("a")
    assert elsewhere.url_of(IN_A, leaving=False) is None
    assert elsewhere.url_of(IN_B, leaving=False) == "http://b"


def test_nobody_is_sent_to_the_url_that_they_have_come_by() -> None:
    """Two edges have one ``EDGE_URL``: those of the other one would come back here, every two seconds."""
    assignments = Assignments()
    elsewhere = Elsewhere("b", assignments)
    halves = (Shard(start=0, end=HALF, edge="a"), Shard(start=HALF, end=CIRCLE, edge="b"))
    table = TableAssigned(epoch=1, version=1, shards=halves, urls={"a": "http://b", "b": "http://b"})
    assignments.take(0, [record(table)])
    assert elsewhere.url_of(IN_A, leaving=False) is None
    assert elsewhere.url_of_another(IN_A) is None, "nor where this edge is full"


def test_a_table_that_does_not_know_this_edge_moves_nobody_unless_it_leaves() -> None:
    elsewhere = seen_by("c")
    assert elsewhere.url_of(IN_A, leaving=False) is None
    assert elsewhere.url_of(IN_A, leaving=True) == "http://a"


@pytest.mark.parametrize(("upper", "known", "share"), [("b", "ab", 0.5), ("a", "ab", 1), ("a", "b", 0)])
def test_the_part_of_all_numbers_that_an_edge_has_is_shown(upper: str, known: str, share: float) -> None:
    seen_by("a", upper=upper, known=known)
    assert REGISTRY.get_sample_value("chat_edge_share_ratio") == share


@pytest.mark.parametrize("edge", ["b", "c"])
def test_nobody_is_sent_where_no_edge_is(edge: str) -> None:
    elsewhere = seen_by(edge, lower=None, upper="gone")
    assert elsewhere.url_of(IN_A, leaving=True) is None
    assert elsewhere.url_of(IN_B, leaving=True) is None


def test_nobody_is_looked_at_again_for_a_table_that_changes_only_other_edges() -> None:
    assignments = Assignments()
    elsewhere = Elsewhere("a", assignments)
    for version, split in enumerate((HALF + 1, HALF + 2, HALF + 2)):
        shards = (
            Shard(start=0, end=HALF, edge="a"),
            Shard(start=HALF, end=split, edge="b"),
            Shard(start=split, end=CIRCLE, edge="c"),
        )
        process = {"a": f"process {version}"}
        urls = {name: f"http://{name}" for name in "abc"}
        table = TableAssigned(epoch=1, version=version, shards=shards, urls=urls, processes=process)
        assignments.take(0, [record(table)])
        assert (elsewhere.version, elsewhere.held_here_since) == ((1, version), (1, 0))


def test_an_edge_is_not_ready_while_the_table_has_another_url_under_its_name() -> None:
    assert seen_by("a").name_fault("http://a") is None
    assert "http://a" in (seen_by("a").name_fault("http://other") or "")
    assert seen_by("c").name_fault("http://c") is None, "a table that does not name it yet"


def test_without_a_table_everybody_stays() -> None:
    elsewhere = Elsewhere("a", Assignments())
    assert elsewhere.url_of(IN_A, leaving=True) is None
    assert elsewhere.url_of_another(IN_A) is None
    assert not elsewhere.asked_to_drain
    assert elsewhere.version is None, "an edge that stops looks for a newer one"
    assert elsewhere.name_fault("http://a") is None, "where nobody has led yet an edge is ready"


def test_a_full_edge_names_the_holder_or_any_other_edge_but_never_itself() -> None:
    for edge in ("a", "x"):
        assert {seen_by(edge, known="abcdef").url_of_another(IN_B) for _ in range(30)} == {"http://b"}, edge
    assert seen_by("a").url_of_another(IN_A) == "http://b"
    assert seen_by("a", known="a").url_of_another(IN_A) is None


def test_an_operator_drains_one_edge_and_no_other() -> None:
    assert seen_by("a").asked_to_drain
    assert not seen_by("b").asked_to_drain


def test_what_an_edge_holds_is_known_from_the_first_table_on_that_names_it() -> None:
    assert seen_by("a").held_here_since == (1, 1)
    assert seen_by("a", lower="b").held_here_since == (1, 1), "it holds nothing, and is to give all away"
    assert seen_by("c").held_here_since is None
