"""A load test as data: how many students, in which groups, and the phases in which they connect and send.

`scenarios/` holds the ready ones; `python -m loadtest run FILE` takes any other.
"""

import tomllib
from pathlib import Path
from typing import Final, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

FOLDER: Final = Path(__file__).with_name("scenarios")

MAX_NAME: Final = 50
"""A file's name has 255 bytes: so many characters of any script leave room for the rest of a result's."""


class Part(BaseModel):
    """A part of a scenario. Unknown fields are refused, so that a typing error is noticed.

    No number may be infinite: a run has an end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Phase(Part):
    """A stretch of time. Rates are open loop: a slow system does not slow them down."""

    name: str
    seconds: float = Field(gt=0)
    online: float = Field(
        default=1.0, ge=0, le=1, description="Share of students that are online at its end."
    )
    each_s: float | None = Field(
        default=None, gt=0, description="Every student says something every so many seconds; null: nothing."
    )
    burst: int = Field(default=0, ge=0, description="What every student says besides, when it begins.")
    burst_within_s: float = Field(
        default=1.0, gt=0, description="Seconds over which the burst is spread; at most the phase's."
    )
    lose: float = Field(
        default=0.0, ge=0, le=1, description="Share of students whose network fails when it begins."
    )
    measured: bool = Field(default=True, description="Whether its latencies count for the objectives.")


class Replay(Part):
    """Real chat logs of a folder instead of generated messages, each compressed to ``seconds``."""

    folder: Path
    seconds: float = Field(default=90.0, gt=0)


class Objectives(Part):
    """Objectives; those left out are not judged. Losing nothing is always judged."""

    p50_ms: float | None = None
    p99_ms: float | None = None
    ack_p99_ms: float | None = None
    online: int | None = Field(default=None, description="Students online at the same time.")
    server_us_per_delivery: float | None = Field(
        default=None, description="CPU of edges and brokers; judged where both are given."
    )


class Scenario(Part):
    """A whole run."""

    name: str = Field(
        pattern=r"^[^/\x00-\x1f\x7f]+$",
        max_length=MAX_NAME,
        description="Also part of the name of the result's file.",
    )
    about: str
    students: int = Field(default=300, ge=1)
    group_size: int = Field(default=30, ge=1)
    groups_each: int = Field(default=1, ge=1, le=20, description="How many groups a student is in.")
    text_chars: int = Field(default=80, ge=0, le=15_500)
    phases: tuple[Phase, ...] = ()
    replay: Replay | None = None
    settle_s: float = Field(
        default=15.0, ge=0, description="After so long without news, what has not come is missing."
    )
    check_history: int = Field(default=20, ge=0, description="Groups a process whose history is compared.")
    objectives: Objectives = Objectives()

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        if not self.phases:
            raise ValueError("a scenario needs phases: in the first one students come online")
        shares = [phase.online for phase in self.phases]
        if shares != sorted(shares):
            raise ValueError("online must not fall from phase to phase: who leaves cannot be judged")
        if self.replay is not None and shares[-1] < 1:
            raise ValueError("a replay needs all students online, and the last phase leaves some offline")
        return self

    @property
    def seconds(self) -> float:
        """How long it lasts, from the first connection to the last message."""
        return sum(phase.seconds for phase in self.phases) + (self.replay.seconds if self.replay else 0.0)

    @property
    def groups_for_all(self) -> int:
        """How many groups it takes for every student to be in one; the last may be smaller."""
        return -(-self.students // self.group_size)

    def stretched(self, factor: float) -> "Scenario":
        """Return it ``factor`` times as long, except for the phases that are not measured.

        Raises ValueError where that is no time at all, or has no end.
        """
        phases = tuple(
            phase.model_copy(update={"seconds": phase.seconds * factor}) if phase.measured else phase
            for phase in self.phases
        )
        replay = self.replay and self.replay.model_copy(update={"seconds": self.replay.seconds * factor})
        stretched = self.model_copy(update={"phases": phases, "replay": replay})
        return Scenario.model_validate(stretched.model_dump())


def load(name_or_path: str) -> Scenario:
    """Return a ready scenario by name, or one from a file. Raises ValueError that says what is wrong."""
    ready = FOLDER / f"{name_or_path}.toml"
    path = ready if ready.exists() else Path(name_or_path)
    try:
        return Scenario.model_validate(tomllib.loads(path.read_text(encoding="utf-8-sig")))
    except OSError as error:
        raise ValueError(f"{name_or_path} is neither a ready scenario nor a file: {error}") from error
    except ValueError as error:
        raise ValueError(f"{path} is no scenario: {error}") from error


def ready_ones() -> list[Scenario]:
    """Return all ready scenarios, by name."""
    return [load(path.stem) for path in sorted(FOLDER.glob("*.toml"))]
