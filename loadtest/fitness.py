"""The documented fitness functions: requirements on the whole system, and grades of measured values. Pure.

Each has a least and an ideal value. What could not be measured has the grade UNKNOWN, not PASS.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from typing import Final, Literal

Grade = Literal["IDEAL", "PASS", "FAIL", "UNKNOWN"]


@dataclass(frozen=True, slots=True)
class Function:
    """One fitness function. ``least`` must be reached; where smaller is better, it is the most allowed."""

    name: str
    unit: str
    least: float
    ideal: float
    smaller_is_better: bool = False

    def grade(self, value: float | None) -> Grade:
        """Return the grade of a value."""
        if value is None:
            return "UNKNOWN"
        sign = -1 if self.smaller_is_better else 1
        if sign * value >= sign * self.ideal:
            return "IDEAL"
        return "PASS" if sign * value >= sign * self.least else "FAIL"


@dataclass(frozen=True, slots=True)
class Outcome:
    """A function with its measured value, and a note on how it was measured."""

    function: Function
    value: float | None
    note: str
    broken: bool = False
    """Whether something was lost: then the grade is FAIL, whatever the value."""

    @property
    def grade(self) -> Grade:
        """The grade."""
        return "FAIL" if self.broken else self.function.grade(self.value)


ONLINE: Final = Function("users online", "", 10_000, 10_000)
TO_SELF: Final = Function("message latency to self, p99", "s", 10, 1, smaller_is_better=True)
CHANNEL: Final = Function("channel capacity, each user", "messages/s", 0.2, 1)
UNUSUAL: Final = Function("messages lost under unusual load", "", 0, 0, smaller_is_better=True)
UPTIME: Final = Function("uptime", "%", 99, 99.9)
AUDIT: Final = Function("dependencies with known faults", "", 0, 0, smaller_is_better=True)


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table as text."""
    head = ("", "fitness function", "measured", "least", "ideal", "what was done")
    rows = [head, *(_cells(one) for one in outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(5)]
    return "\n".join(
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[5]]).rstrip()
        for row in rows
    )


def _cells(one: Outcome) -> tuple[str, ...]:
    of, measured = one.function, "-"
    if one.value is not None:
        how = ",.0f" if one.value >= 1000 else ",.4g"
        measured = f"{one.value:{how}} {of.unit}".rstrip()
    bound = "≤" if of.smaller_is_better else "≥"
    return one.grade, of.name, measured, f"{bound} {of.least:,g}", f"{bound} {of.ideal:,g}", one.note


@dataclass(frozen=True, slots=True)
class Capacity:
    """Figures at the highest load that was carried; None if not measured."""

    messages_per_s: float
    deliveries_per_s: float
    edge_cores: float | None
    broker_cores: float | None
    locations_per_gateway_core: float | None


@dataclass(frozen=True, slots=True)
class University:
    """A system far beyond one machine."""

    students: int = 20_000_000
    each_s: float = 5.0
    group_size: int = 30
    edge_holds: int = 10_000
    logins_within_s: float = 3600.0


SKIM_US: Final = 4.0
"""An edge's CPU, in µs, for a record of a group without local members: that of a bare consumer."""

MOST_SKIMMING: Final = 0.25
"""Share of a core that an edge may spend on records which are not its own."""

NOT_SEEN: Final = "not known: not looked at, or not for long enough"


def extrapolate(measured: Capacity, wanted: University) -> str:
    """Return what a university would need, from what was measured, and where that stops being true."""
    messages = wanted.students / wanted.each_s
    deliveries = messages * wanted.group_size
    skims = messages * SKIM_US / 1e6
    load = (
        f"{wanted.students:,} students, one message every {wanted.each_s:g} s each, in groups of"
        f" {wanted.group_size}: {messages:,.0f} messages/s, {deliveries:,.0f} deliveries/s"
    )
    needs = [
        load,
        _edges(measured, wanted, deliveries),
        _gateways(measured, wanted),
        _brokers(measured, messages),
    ]
    if skims > MOST_SKIMMING:
        needs.append(
            f"not as it is built: every edge would spend {skims:,.1f} cores on reading all records."
            f" Past {MOST_SKIMMING / SKIM_US * 1e6:,.0f} messages/s each message must be routed to the edges"
            " concerned"
        )
    return "\n".join(needs)


def _edges(measured: Capacity, wanted: University, deliveries: float) -> str:
    by_sockets = ceil(wanted.students / wanted.edge_holds)
    sockets = f"{by_sockets:,} by {wanted.edge_holds:,} sockets each"
    if measured.edge_cores is None or not measured.deliveries_per_s:
        return f"edges: {sockets}; by CPU {NOT_SEEN}"
    edge_us = measured.edge_cores / measured.deliveries_per_s * 1e6
    by_cpu = ceil(deliveries * edge_us / 1e6)
    return (
        f"edges: {max(by_cpu, by_sockets):,} of one core"
        f" ({by_cpu:,} by CPU at {edge_us:.1f} µs a delivery, {sockets})"
    )


def _gateways(measured: Capacity, wanted: University) -> str:
    if measured.locations_per_gateway_core is None:
        return f"gateways: {NOT_SEEN}"
    logins = wanted.students / wanted.logins_within_s
    return (
        f"gateways: {ceil(logins / measured.locations_per_gateway_core):,} cores, for all to log in within"
        f" {wanted.logins_within_s / 60:g} min ({logins:,.0f} requests/s)"
    )


def _brokers(measured: Capacity, messages: float) -> str:
    if measured.broker_cores is None or not measured.messages_per_s:
        return f"brokers: {NOT_SEEN}"
    broker_us = measured.broker_cores / measured.messages_per_s * 1e6
    return (
        f"brokers: {ceil(messages * broker_us / 1e6):,} cores at {broker_us:.0f} µs a message,"
        " before replication"
    )
