"""Laws of atoms, in which the table is measured."""

from hypothesis import given
from hypothesis import strategies as st

from dispatcher.shard_draft import ATOMS, Piece, atom_at, point_of_atom
from schemas.up_number import CIRCLE


@given(st.integers(0, ATOMS))
def test_every_atom_is_found_again_by_its_point(atom: int) -> None:
    assert atom_at(point_of_atom(atom)) == atom


@given(st.integers(0, ATOMS - 1))
def test_atoms_are_in_the_order_of_their_points(atom: int) -> None:
    assert point_of_atom(atom) < point_of_atom(atom + 1)


def test_digits_and_their_halves_begin_at_round_points() -> None:
    digit = ATOMS // 10
    assert [point_of_atom(n * digit) for n in range(11)] == [n * CIRCLE // 10 for n in range(11)]
    assert [half.start for half in Piece(3 * digit, 4 * digit).halves(1)] == [
        atom_at(300_000_000),
        atom_at(350_000_000),
    ]
