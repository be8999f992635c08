"""The small university is the same for the same seed; nobody is without groups, no group of strangers."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from deploy.demo.campus import CHATTING, COHORT
from deploy.demo.university import University, small_university
from schemas.api import CreateGroup, UserState
from schemas.up_number import UpNumber

universities = st.builds(small_university, st.integers())


@given(st.integers())
@settings(max_examples=10)
def test_the_same_seed_gives_the_same_university(seed: int) -> None:
    assert small_university(seed) == small_university(seed)


@given(universities)
@settings(max_examples=20)
def test_numbers_and_ids_are_well_formed_and_differ(university: University) -> None:
    ups = [student.up for student in university.students]
    assert len(set(ups)) == len(ups)
    assert all(TypeAdapter(UpNumber).validate_python(up) == up for up in ups)
    ids = [group.id for group in university.groups]
    assert len(set(ids)) == len(ids)
    for group in university.groups:
        CreateGroup(id=group.id, name=group.name, users=list(group.members))
    for student in university.students:
        UserState(up=student.up, username=student.username, name=student.name, online=False)


@given(universities)
@settings(max_examples=20)
def test_everybody_is_in_a_degree_its_courses_and_a_class(university: University) -> None:
    known = {student.up for student in university.students}
    for group in university.groups:
        assert len(set(group.members)) == len(group.members)
        assert set(group.members) <= known
    for student in university.students:
        assert len(university.groups_of(student.up)) == 5


def test_there_are_a_few_hundred_students_over_the_whole_circle() -> None:
    university = small_university()
    assert 200 <= len(university.students) <= 400
    last_digits = {student.up[-1] for student in university.students}
    assert last_digits == set("0123456789")


def test_the_cohort_that_chats_has_somebody_left_who_can_be_tried() -> None:
    cohort = next(group.members for group in small_university().groups if group.id == COHORT)
    assert len(cohort) > CHATTING


@pytest.mark.parametrize("letter", "çãéê")
def test_names_keep_their_accents_and_usernames_lose_them(letter: str) -> None:
    students = small_university().students
    assert any(letter in student.name for student in students)
    assert all(student.username.isascii() for student in students)
