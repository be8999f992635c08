"""Logs: ``requests.log`` (Apache combined), ``combined.log`` and ``error.log`` in the log folder, and stdout.

A line of a file is ``level: message {json}``; on stdout it is one JSON object. Facts go into
``extra=facts(...)``, never into the message, and no secret or token is ever among them.

An error is what a person must act on: `error.log` has nothing below. What fails again and again for one
reason (the client of Kafka logs every attempt to reach a broker) is rate limited.
"""

import json
import logging
import sys
import time
from logging.handlers import RotatingFileHandler
from pathlib import Path
from typing import Any, Final

from runtime.budgets import Budget
from runtime.settings import ServiceSettings
from runtime.stdout_lines import StdoutLines

ACCESS_LOG: Final = "requests"
MAX_FILE_BYTES: Final = 50_000_000
KEPT_FILES: Final = 3
LINES_PER_S: Final = 1.0
LINES_AT_ONCE: Final = 20
"""So many lines of one `RateLimit` pass."""


def facts(**values: object) -> dict[str, Any]:
    """Return the ``extra`` of a log call: what the line says beside its message."""
    return {"facts": values}


def install(service: str, settings: ServiceSettings) -> None:
    """Send all logs of this process to the files and to stdout, as the settings say.

    Raises `OSError` where the files cannot be written.
    """
    root = logging.getLogger()
    root.setLevel(settings.log_level.upper())
    root.handlers.clear()
    logging.captureWarnings(True)
    for chatty in ("aiokafka", "engineio", "socketio", "pymongo", "asyncio"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    # While a broker is away an edge's clients would log 85 lines a second, all alike.
    library = logging.getLogger("aiokafka")
    library.propagate = False
    library.handlers = [_PassOn()]
    library.handlers[0].addFilter(RateLimit())
    # Each is None where it was closed before the start.
    stream = sys.stdout or sys.stderr
    if settings.log_stdout != "none" and stream is not None:
        stdout = StdoutLines(stream.fileno())
        stdout.setFormatter(JsonLine(service) if settings.log_stdout == "json" else TextLine())
        root.addHandler(stdout)
    if settings.log_dir:
        _add_files(root, Path(settings.log_dir))


def _add_files(root: logging.Logger, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    root.addHandler(_file(folder / "combined.log", logging.INFO, TextLine()))
    root.addHandler(_file(folder / "error.log", logging.ERROR, TextLine()))
    requests = logging.getLogger(ACCESS_LOG)
    requests.handlers.clear()
    requests.setLevel(logging.INFO)
    requests.propagate = False
    requests.addHandler(_file(folder / "requests.log", logging.INFO, logging.Formatter("%(message)s")))


class RateLimit(logging.Filter):
    """Lets a bounded number of lines pass, those for debugging apart; a line says how many were left out.

    Added to a logger it limits that logger's own lines.
    """

    def __init__(self) -> None:
        super().__init__()
        self._budget = Budget(LINES_PER_S, LINES_AT_ONCE)
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line passes."""
        if record.levelno <= logging.DEBUG:
            return True
        if not self._budget.take(time.monotonic()):
            self._left_out += 1
            return False
        if self._left_out:
            record.facts = {**getattr(record, "facts", {}), "left_out": self._left_out}
            self._left_out = 0
        return True


class _PassOn(logging.Handler):
    """Gives the lines of a library's loggers to all logs: a filter of theirs would not see them."""

    def emit(self, record: logging.LogRecord) -> None:
        logging.getLogger().handle(record)


def _file(path: Path, level: int, formatter: logging.Formatter) -> logging.Handler:
    handler = RotatingFileHandler(path, maxBytes=MAX_FILE_BYTES, backupCount=KEPT_FILES)
    handler.setLevel(level)
    handler.setFormatter(formatter)
    return handler


def _details(record: logging.LogRecord) -> dict[str, object]:
    details: dict[str, object] = dict(getattr(record, "facts", {}))
    if record.exc_info:
        details["exception"] = logging.Formatter().formatException(record.exc_info)
    return details


class TextLine(logging.Formatter):
    """``level: message {json}``, always one line: JSON escapes whatever a client sent."""

    def format(self, record: logging.LogRecord) -> str:
        details = {"time": _iso(record.created), "logger": record.name, **_details(record)}
        message = record.getMessage().replace("\r", "\\r").replace("\n", "\\n")
        return f"{record.levelname.lower()}: {message} {json.dumps(details, default=str)}"


class JsonLine(logging.Formatter):
    """One JSON object a line."""

    def __init__(self, service: str) -> None:
        super().__init__()
        self._service = service

    def format(self, record: logging.LogRecord) -> str:
        line = {
            "time": _iso(record.created),
            "level": record.levelname.lower(),
            "service": self._service,
            "logger": record.name,
            "message": record.getMessage(),
            **_details(record),
        }
        return json.dumps(line, default=str)


def _iso(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"
