"""Reading settings: from the environment, once at start, all faults listed at once, shown by ``--help``."""

import json
import shutil
import sys
import textwrap
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import Literal, TypeVar, get_args, get_origin

from pydantic import SecretStr, ValidationError
from pydantic_settings import BaseSettings

from runtime.settings import ServiceSettings

S = TypeVar("S", bound=ServiceSettings)


def load(kind: type[S], prog: str, argv: Sequence[str] | None = None) -> S:
    """Return the settings from the environment. ``--help`` lists them; faults are listed, exit code 2."""
    parser = ArgumentParser(
        prog=f"python -m {prog}",
        formatter_class=RawDescriptionHelpFormatter,
        description=f"{kind.__doc__}\n\nSettings, from the environment:\n\n{describe(kind)}",
    )
    parser.parse_args(argv)
    try:
        return kind()
    except ValidationError as error:
        for fault in error.errors(include_url=False, include_input=False):
            where = str(fault["loc"][0]).upper() if fault["loc"] else "settings"
            sys.stderr.write(f"{prog}: {where}: {fault['msg']}\n")
        sys.exit(2)


def describe(kind: type[BaseSettings]) -> str:
    """Return some lines a setting: variable, default and meaning, and its values where they are few.

    They are no wider than the terminal.
    """
    lines = []
    wrapper = textwrap.TextWrapper(
        shutil.get_terminal_size().columns - 1,
        initial_indent=" " * 6,
        subsequent_indent=" " * 6,
        break_long_words=False,
        break_on_hyphens=False,
    )
    for name, field in sorted(kind.model_fields.items()):
        default = field.get_default()
        shown = "(required)" if field.is_required() else f"[{_plain(default)}]"
        lines.append(f"  {name.upper()} {shown}")
        lines += wrapper.wrap(field.description or "")
        if values := _values(field.annotation):
            lines += wrapper.wrap(f"Values: {', '.join(values)}")
    return "\n".join(lines)


def _plain(value: object) -> str:
    """Return a default as it would stand in the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, bool):
        return json.dumps(value)
    return "" if value is None else str(value)


def _values(kind: object) -> list[str]:
    """Return the values that a Literal allows, wherever it stands in a type."""
    parts = get_args(kind)
    if get_origin(kind) is Literal:
        return [_plain(part) for part in parts]
    return [value for part in parts for value in _values(part)]
