"""Names that people read in lists: whatever can be seen, and nothing that spoils the list for others.

And the pages of lists: all can be asked for.
"""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from schemas.api import MAX_LISTED, ListPage, Name
from schemas.log_records import GroupCreated, encode

NAMES: TypeAdapter[str] = TypeAdapter(Name)


@pytest.mark.parametrize(
    "name",
    [
        "Maths",
        "a b",
        "1",
        "?",
        "é",
        "e\u0301",
        "👩\u200d👩\u200d👧",
        "1\ufe0f\u20e3",
        "\u200fقسم",
        "数学",
        "🇵🇹",
    ],
)
def test_whatever_can_be_seen_is_a_name(name: str) -> None:
    assert NAMES.validate_python(name) == name


@given(
    st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20),
    st.text(" \t\u00a0\u3000"),
)
def test_spaces_around_a_name_are_no_part_of_it(name: str, around: str) -> None:
    try:
        assert NAMES.validate_python(around + name + around) == name
    except ValidationError:
        assert not name.strip("\u115f\u1160\u2800\u3164\uffa0")


@pytest.mark.parametrize(
    "name",
    [
        *("", " ", "\u00a0\u3000", "\n", "a\u0000b", "a\nb", "a\u007f.", "a\u0085b", "\u001b[31mred"),
        *("\u200b", "\u200d\u2060", "\u200f", "\u3164", "\u2800", "\ufe0f", "\u0301", "\U000e0061", "\ufeff"),
    ],
)
def test_what_shows_nothing_and_what_controls_is_no_name_but_is_read_where_the_log_has_it(name: str) -> None:
    with pytest.raises(ValidationError):
        NAMES.validate_python(name)
    created = GroupCreated(group="x", name=name, created_by=None)
    record = encode(created, key="x", source="test")
    assert GroupCreated.read(record.headers, record.value) == created


@given(st.text(max_size=20))
def test_every_name_has_a_character_of_its_own_and_none_that_controls(text: str) -> None:
    try:
        name = NAMES.validate_python(text)
    except ValidationError:
        return
    kinds = {unicodedata.category(one) for one in name}
    assert "Cc" not in kinds
    assert any(kind == "Cn" or kind[0] in "LNPS" for kind in kinds)
    assert name == name.strip()


@given(st.integers(0, MAX_LISTED), st.integers(1, 1000), st.data())
def test_the_page_that_a_list_names_next_can_be_asked_for_and_begins_where_this_one_ends(
    entries: int, per_page: int, data: st.DataObject
) -> None:
    page = ListPage(page=data.draw(st.integers(0, entries // per_page)), perPage=per_page)
    following = page.following(entries)
    if following is None:
        assert entries <= page.skip + per_page
    else:
        assert page.skip + per_page == ListPage(page=following, perPage=per_page).skip < entries
