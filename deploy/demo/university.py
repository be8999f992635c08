"""A small university: degrees, their courses and classes, and the students in them. Pure.

The same seed gives the same university.
"""

import random
import unicodedata
from dataclasses import dataclass
from typing import Final

STUDENTS: Final = 320
CLASS_SIZE: Final = 20

_COURSES: Final = {
    1: ["Fundamentos da Programação", "Matemática Discreta", "Álgebra"],
    2: ["Bases de Dados", "Sistemas Operativos", "Algoritmos e Estruturas de Dados"],
    3: ["Redes de Computadores", "Engenharia de Software", "Inteligência Artificial"],
}
_MASTERS_COURSES: Final = {1: ["Sistemas Distribuídos", "Arquitetura de Software", "Computação Móvel"]}


@dataclass(frozen=True, slots=True)
class Degree:
    """A degree: its id, its name, how many of ten students are in it, and its courses by year."""

    id: str
    name: str
    tenths: int
    courses: dict[int, list[str]]


DEGREES: Final = (
    Degree("leic", "Licenciatura em Engenharia Informática e Computação", 4, _COURSES),
    Degree("leec", "Licenciatura em Engenharia Eletrotécnica e de Computadores", 3, _COURSES),
    Degree("meic", "Mestrado em Engenharia Informática e Computação", 3, _MASTERS_COURSES),
)

_GIVEN: Final = (
    "Ana", "André", "Beatriz", "Bernardo", "Carolina", "Catarina", "Daniel", "Diogo", "Duarte", "Eva",
    "Filipa", "Francisco", "Gonçalo", "Inês", "Joana", "João", "José", "Laura", "Leonor", "Luísa",
    "Mafalda", "Maria", "Mariana", "Marta", "Miguel", "Nuno", "Pedro", "Rita", "Rui", "Sofia",
    "Tiago", "Tomás", "Vasco", "Vera",
)  # fmt: skip
_FAMILY: Final = (
    "Almeida", "Araújo", "Barbosa", "Carvalho", "Castro", "Costa", "Cunha", "Dias", "Fernandes",
    "Ferreira", "Fonseca", "Gomes", "Gonçalves", "Lopes", "Magalhães", "Marques", "Martins", "Mendes",
    "Moreira", "Neves", "Nogueira", "Oliveira", "Pereira", "Pinto", "Ribeiro", "Rocha", "Rodrigues",
    "Santos", "Silva", "Soares", "Sousa", "Tavares", "Teixeira", "Vieira",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Student:
    """A student and their names."""

    up: str
    username: str
    name: str


@dataclass(frozen=True, slots=True)
class PlannedGroup:
    """A group and who is in it."""

    id: str
    name: str
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class University:
    """All students and groups."""

    students: tuple[Student, ...]
    groups: tuple[PlannedGroup, ...]

    def groups_of(self, up: str) -> list[PlannedGroup]:
        """Return the groups of a student."""
        return [group for group in self.groups if up in group.members]


def small_university(seed: int = 2026) -> University:
    """Return a university of about `STUDENTS` students, spread over degrees and years."""
    rng = random.Random(seed)
    enrolled: list[Student] = []
    groups: list[PlannedGroup] = []
    taken: set[str] = set()
    for degree in DEGREES:
        everybody: list[str] = []
        for year in degree.courses:
            size = STUDENTS * degree.tenths // (10 * len(degree.courses))
            cohort = [_student(rng, year, taken) for _ in range(size)]
            ups = [student.up for student in cohort]
            enrolled += cohort
            everybody += ups
            groups += _year_groups(degree, year, ups)
        groups.append(PlannedGroup(degree.id, degree.name, tuple(everybody)))
    return University(tuple(enrolled), tuple(groups))


def _year_groups(degree: Degree, year: int, ups: list[str]) -> list[PlannedGroup]:
    courses = [
        PlannedGroup(f"{degree.id}.{_initials(name)}", f"{name} ({degree.id.upper()})", tuple(ups))
        for name in degree.courses[year]
    ]
    classes = [
        PlannedGroup(
            f"{degree.id}.{year}t{number:02}",
            f"{degree.id.upper()}, {year}.º ano, turma {number}",
            tuple(ups[start : start + CLASS_SIZE]),
        )
        for number, start in enumerate(range(0, len(ups), CLASS_SIZE), start=1)
    ]
    return courses + classes


def _student(rng: random.Random, year: int, taken: set[str]) -> Student:
    given, family = rng.choice(_GIVEN), rng.choice(_FAMILY)
    up = ""
    while not up or up in taken:
        up = f"up{2026 - year}{rng.randrange(100_000):05d}"
    taken.add(up)
    return Student(up, f"{_plain(given)}.{_plain(family)}.{up[-4:]}", f"{given} {family}")


def _initials(name: str) -> str:
    words = [word for word in name.split() if len(word) > 2]
    return _plain("".join(word[0] for word in words) if len(words) > 1 else name[:3])


def _plain(name: str) -> str:
    """Return a name in lower-case ASCII letters, as in ids."""
    return unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().lower()
