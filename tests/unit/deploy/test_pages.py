"""Every page leads where it says, and names what exists: links, anchors, defaults, limits, make's targets."""

import re
from pathlib import Path

import pytest
from pydantic_core import PydanticUndefined

from api_gateway import history, unread_answers
from deploy.repository import REPOSITORY
from edge_server import arrivals, direct_websocket, handshake, joining, presence, socket_events
from runtime import bounded_parser, bounded_runner, logs, metrics, refusing, service, stdout_lines
from schemas import api, asyncapi, client_events, topics
from schemas.refusals import TABLE
from tests.unit.api_gateway.parts import PUBLIC
from tests.unit.deploy.known_settings import SETTINGS
from tests.unit.packages import MAY_IMPORT

DOCS = REPOSITORY / "docs"
PAGES = [REPOSITORY / "README.md", *sorted(DOCS.rglob("*.md"))]
GUIDE = DOCS / "connect-a-client.md"
IN_GUIDE = "docs/connect-a-client.md says it in its tables"
IN_PRODUCTION = DOCS / "kubernetes.md"
"""It names what production sets, which other tests hold against its files."""
CODE = {file.name for package in (*MAY_IMPORT, "tests") for file in (REPOSITORY / package).rglob("*.py")}
LIMITS = DOCS / "security.md"
PROXY = DOCS / "operating" / "reverse-proxy.md"
UNITS = {"": 1, "s": 1, "KiB": 1024, "MiB": 1024 * 1024}

FIXED = [
    (LIMITS, "After such a refusal", [socket_events.MAX_PAUSE_S]),
    (
        LIMITS,
        "| frames |",
        [direct_websocket.FRAMES_PER_S_BEFORE_LOGIN, direct_websocket.FRAMES_BEFORE_LOGIN],
    ),
    (LIMITS, "| packets before login |", [arrivals.PACKETS_BEFORE_LOGIN]),
    (LIMITS, "| connects (one more", [handshake.GROUPS_A_CONNECT]),
    (LIMITS, "| data that a connection does not take |", [bounded_runner.UNREAD_WITHIN_S]),
    (LIMITS, "| cursors in", [client_events.MAX_CURSORS]),
    (LIMITS, "| unread bytes and packets", [joining.ROOM_BYTES, bounded_runner.KERNEL_AHEAD_BYTES]),
    (LIMITS, "| departures", [presence.MAX_WAITING_DEPARTURES]),
    (LIMITS, "| members that a request adds |", [api.MAX_NEW_MEMBERS]),
    (LIMITS, "| bundles being assembled | a gateway", [history.MAX_BUNDLED_MESSAGES]),
    (LIMITS, "| all pages of a bundle |", [history.MAX_BUNDLE_BYTES]),
    (
        LIMITS,
        "| answers above 16 KiB that are not read yet | a user",
        [unread_answers.SMALL_BYTES, unread_answers.LONGEST_OF_A_WRITE],
    ),
    (LIMITS, "| log lines about refusals |", [refusing.LINES_PER_S, refusing.LINES_AT_ONCE]),
    (LIMITS, "| log lines of aiokafka", [logs.LINES_PER_S, logs.LINES_AT_ONCE]),
    (LIMITS, "| log lines on stdout", [stdout_lines.MAX_WAITING_BYTES, stdout_lines.FLUSH_WITHIN_S]),
    (
        LIMITS,
        "| a head",
        [
            bounded_runner.MAX_LINE_BYTES,
            bounded_runner.MAX_FIELD_BYTES,
            bounded_parser.MAX_HEAD_BYTES,
            bounded_parser.MAX_AHEAD_BYTES,
            service.IDLE_CONNECTION_S,
        ],
    ),
    (PROXY, "- **Close an idle connection", [service.IDLE_CONNECTION_S]),
    (
        PROXY,
        "- **Accept headers",
        [bounded_runner.MAX_FIELD_BYTES, bounded_parser.MAX_HEAD_BYTES, bounded_runner.MAX_LINE_BYTES],
    ),
]
"""By page and the beginning of a row or paragraph: numbers there that are no settings."""

each_page = pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(REPOSITORY)))


def prose(page: Path) -> str:
    """Return a page without its blocks of commands and programs."""
    return re.sub(r"(?ms)^ *```.*?^ *```", "", page.read_text())


def anchors(page: Path) -> set[str]:
    """Return what a link may name after ``#``, as GitHub makes it of the headings."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


def defaults(name: str) -> set[object]:
    """Return what a variable is in the services that know it, where nothing is said."""
    fields = [kind.model_fields.get(name.lower()) for kind in SETTINGS.values()]
    return {field.get_default() for field in fields if field is not None} - {PydanticUndefined}


@each_page
def test_every_link_leads_somewhere(page: Path) -> None:
    for link in re.findall(r"\]\((?!http)([^)\s]+)\)", prose(page)):
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@each_page
def test_a_page_names_only_files_that_exist(page: Path) -> None:
    """A file of the code may be named without its folder."""
    if page == GUIDE:
        return  # Its files are the reader's own.
    for name in re.findall(r"`((?:\w+/)*\w+\.py|(?:tests|loadtest|deploy|k8s)/[\w/-]*)`", prose(page)):
        assert name in CODE or (REPOSITORY / name).exists(), name


@each_page
def test_a_default_that_is_named_is_the_code_s(page: Path) -> None:
    if page == IN_PRODUCTION:
        return
    for name, number, unit in re.findall(r"`([A-Z]+(?:_[A-Z]+)+)` \(([\d ]*\d) ?(s|[KM]iB|)\)", prose(page)):
        assert defaults(name) == {int(number.replace(" ", "")) * UNITS[unit]}, name


@pytest.mark.parametrize(("page", "begins", "numbers"), FIXED, ids=[begins for _, begins, _ in FIXED])
def test_a_number_that_is_no_setting_is_the_code_s(page: Path, begins: str, numbers: list[float]) -> None:
    found = re.findall(rf"(?ms)^{re.escape(begins)}.*?(?=\n\n|\n- |\n\| )", page.read_text())
    assert len(found) == 1
    said = re.findall(r"(?<![\d`])(\d+(?: \d{3})*)(?: ([KM]iB))?", found[0])
    assert set(numbers) <= {int(number.replace(" ", "")) * UNITS[unit] for number, unit in said}


def test_the_page_of_personal_data_says_for_how_long_kafka_keeps_it() -> None:
    page = (DOCS / "operating" / "personal-data.md").read_text()
    rows = re.findall(r"(?m)^\| Kafka, `([a-z.-]+)` \| .+ \| (\d+) to (\d+) days \|$", page)
    days = {name: (int(least) * topics.DAY_MS, int(most) * topics.DAY_MS) for name, least, most in rows}
    kept = {name: topics.ALL[name].config for name in (topics.MESSAGES, topics.DEAD_LETTERS)}
    assert days == {
        name: (int(config["retention.ms"]), int(config["retention.ms"]) + int(config["segment.ms"]))
        for name, config in kept.items()
    }


@each_page
def test_a_page_names_only_targets_of_make_that_exist(page: Path) -> None:
    targets = set(re.findall(r"(?m)^\.PHONY: ([\w-]+)$", (REPOSITORY / "Makefile").read_text()))
    commands = re.findall(r"(?m)(?:`|^ *)make ([a-z-]+)(?=[ `]| *$)", page.read_text())
    assert set(commands) <= targets


def test_the_guide_for_clients_has_every_refusal_with_its_status() -> None:
    said: dict[str, int] = {}
    for codes, statuses in re.findall(r"(?m)^\| ((?:`[a-z_]+`,? ?)+) \| ([\d, ]+) \| ", GUIDE.read_text()):
        names, numbers = re.findall(r"[a-z_]+", codes), [int(status) for status in statuses.split(", ")]
        said |= dict(zip(names, numbers * len(names) if len(numbers) == 1 else numbers, strict=True))
    assert said == {code: refusal.status for code, refusal in TABLE.items()}, IN_GUIDE


def test_the_guide_for_clients_has_a_row_for_every_event_with_all_its_fields() -> None:
    rows = re.findall(r"(?m)^\| `([a-z_ ]+)` \| ([→←]) \| (.+)$", GUIDE.read_text())
    said = {(name, way): set(re.findall(r"\w+", row)) for name, way, row in rows}
    events = {("→", event) for event in asyncapi.FROM_CLIENTS} | {
        ("←", event) for event in asyncapi.FROM_EDGES
    }
    assert len(rows) == len(events)
    assert said.keys() == {(event.name, way) for way, event in events}, IN_GUIDE
    for way, event in events:
        for model in filter(None, (event.payload, event.ack)):
            fields = {field.alias or name for name, field in model.model_fields.items()}
            assert fields <= said[event.name, way], f"{event.name} {way}: {IN_GUIDE}"


def test_the_guide_for_clients_has_a_row_for_every_public_route_with_all_it_takes() -> None:
    rows = re.findall(r"(?m)^\| `([A-Z]+) (/chat[^`?]*)\??([^`]*)`(?: `\{(.*?)\}`)? \|", GUIDE.read_text())
    said = {f"{method} {path}": set(re.findall(r"\w+", query + body)) for method, path, query, body in rows}
    assert len(said) == len(rows)
    assert said == {
        f"{route.method} {route.path}": set(route.takes.model_fields) - set(route.path_names)
        for route in PUBLIC
    }, IN_GUIDE


def test_the_page_of_promises_has_a_row_for_every_file_of_faults() -> None:
    rows = re.findall(r"(?m)^\| `(test_\w+\.py)` \| ", (DOCS / "reliability.md").read_text())
    assert sorted(rows) == sorted(file.name for file in (REPOSITORY / "tests" / "faults").glob("test_*.py"))


def test_the_map_of_the_code_has_a_row_for_every_topic() -> None:
    rows = re.findall(r"(?m)^\| `([a-z.-]+)` \| ", (DOCS / "architecture.md").read_text())
    assert rows == list(topics.ALL), "docs/architecture.md has their rows"


def test_the_page_of_limits_names_every_limit_that_is_counted() -> None:
    files = [file for service in ("runtime", *SETTINGS) for file in (REPOSITORY / service).rglob("*.py")]
    counted = {
        limit
        for file in files
        for limit in re.findall(r'LIMIT_HITS\.labels\(limit="(.+?)"\)', file.read_text())
    }
    named = set(re.findall(r"`([a-z ]+)`", LIMITS.read_text()))
    assert counted == set(metrics.LIMITS), "runtime/metrics.py lists them: all begin at zero"
    assert counted <= named, "docs/security.md has their rows"
