"""Arguments of the commands: which deployment is tested, and how a scenario is changed."""

import argparse
from collections.abc import Iterable
from pathlib import Path
from typing import Final

from loadtest.run import Target
from loadtest.scenario import Scenario, load
from loadtest.server_side import Watched

MAX_PID: Final = 2**22
"""The highest number that Linux gives a process."""


def add_gateway(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say where students log in, and as whom."""
    parser.add_argument("--gateway", required=True, metavar="URL", help="the public API's URL")
    parser.add_argument(
        "--tokens", type=Path, help="lines 'up201906045 TOKEN' (default: made with $TOKEN_SECRET)"
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that say what is tested, and which of its processes are watched."""
    add_gateway(parser)
    parser.add_argument(
        "--ops", action="append", default=[], metavar="NAME=URL", help="a server's ops port; may be repeated"
    )
    parser.add_argument(
        "--pid",
        action="append",
        default=[],
        metavar="NAME=PID",
        help="a server's process on this machine; edge... and kafka... count for a delivery's CPU",
    )


def target_of(arguments: argparse.Namespace) -> Target:
    """Return the deployment that the arguments of `add_target` name. Raises ValueError."""
    return Target(arguments.gateway, arguments.tokens, Watched(_pairs(arguments.ops), _pids(arguments.pid)))


def add_size(parser: argparse.ArgumentParser) -> None:
    """Add the arguments that change a scenario."""
    parser.add_argument("--students", type=int, help="so many instead of the scenario's")
    parser.add_argument("--group-size", type=int, help="so many in each group")
    parser.add_argument(
        "--stretch", type=float, default=1.0, help="measured phases last so many times as long"
    )
    parser.add_argument(
        "--replay", type=Path, metavar="FOLDER", help="say what the *.log of a folder say (IRC)"
    )
    parser.add_argument("--processes", type=int, default=0, help="processes of students (default: by cores)")
    parser.add_argument(
        "--out", type=Path, default=Path("reports"), help="folder of the result (%(default)s)"
    )


def chosen_scenario(arguments: argparse.Namespace) -> Scenario:
    """Return the scenario as the arguments change it. Raises ValueError."""
    scenario = load(arguments.scenario).stretched(arguments.stretch)
    changes = {"students": arguments.students, "group_size": arguments.group_size}
    changed = scenario.model_dump() | {name: value for name, value in changes.items() if value is not None}
    if arguments.replay is not None:
        changed["replay"] = (changed["replay"] or {}) | {"folder": arguments.replay}
    if changed["replay"] is not None and (arguments.students is not None or arguments.group_size is not None):
        raise ValueError(
            "who is in which group of a replay is what its logs say: --students and --group-size do not"
        )
    return Scenario.model_validate(changed)


def _pairs(given: Iterable[str]) -> dict[str, str]:
    """Return ``name=value`` arguments as a dictionary. Raises ValueError where one has no name."""
    found: dict[str, str] = {}
    for argument in given:
        name, equals, value = argument.partition("=")
        if not equals or not name or not value:
            raise ValueError(f"{argument}: this is given as name=value")
        found[name] = value
    return found


def _pids(given: Iterable[str]) -> dict[str, int]:
    """Return ``name=pid`` arguments as a dictionary. Raises ValueError where one is not."""
    found = _pairs(given)
    for name, pid in found.items():
        if not pid.isdecimal() or not 0 < int(pid) <= MAX_PID:
            raise ValueError(f"{name}={pid}: a process is given by its number")
    return {name: int(pid) for name, pid in found.items()}
