"""The list of decisions names every page by number and title, and each library has its reason."""

import re

from deploy.repository import REPOSITORY

DECISIONS = REPOSITORY / "docs" / "decisions"


def title_of(text: str) -> str:
    """Return a page's title without its number, which not every page repeats."""
    return re.sub(r"^# (\d{4} )?(— )?", "", text.splitlines()[0])


def test_the_list_of_decisions_is_complete_and_calls_each_by_its_title() -> None:
    listed = re.findall(r"(?m)^- \[(\d{4})\]\((.+?)\) (.+)$", (DECISIONS / "README.md").read_text())
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    assert listed == [(page.name[:4], page.name, title_of(page.read_text())) for page in pages]


def test_each_library_of_the_services_has_its_reason() -> None:
    wanted = re.findall(r"(?m)^([\w.-]+)(?:\[\w+\])?==", (REPOSITORY / "requirements.in").read_text())
    cells = re.findall(r"(?m)^\| ([^|]+) \| ", (DECISIONS / "0006-libraries.md").read_text())
    assert set(wanted) <= {name for cell in cells for name in cell.split(", ")}
