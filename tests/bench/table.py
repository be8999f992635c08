"""Rows of figures, and how they are shown: a table for people, JSON for programs. Pure."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Row:
    """One comparison. ``better`` says which way is good: lower or higher."""

    name: str
    unit: str
    better: str
    ours: float
    reference: float | None = None
    ours_samples: Sequence[float] = field(default_factory=list)
    reference_samples: Sequence[float] = field(default_factory=list)

    @property
    def ratio(self) -> float | None:
        """Ours by the reference; None where there is no reference."""
        return self.ours / self.reference if self.reference else None


def as_text(rows: Sequence[Row]) -> str:
    """Return the table, columns aligned."""
    head = ("what", "ours", "reference", "ratio", "better", "unit")
    cells = [head, *(_cells(row) for row in rows)]
    widths = [max(len(line[n]) for line in cells) for n in range(len(head))]
    return "\n".join(_line(line, widths) for line in cells)


def as_json(rows: Sequence[Row], machine: str, seconds: float) -> dict[str, Any]:
    """Return the report: the machine, and each row with its ratio and all samples."""
    return {
        "machine": machine,
        "seconds": round(seconds, 1),
        "rows": [{**asdict(row), "ratio": row.ratio} for row in rows],
    }


def figure(value: float | None) -> str:
    """Return a figure with three digits that mean something."""
    if value is None:
        return "-"
    if abs(value) >= 1000:
        return f"{value:,.0f}"
    return f"{value:.3g}"


def _cells(row: Row) -> tuple[str, ...]:
    return (row.name, figure(row.ours), figure(row.reference), figure(row.ratio), row.better, row.unit)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *numbers = cells
    aligned = [cell.rjust(width) for cell, width in zip(numbers[:3], widths[1:4], strict=True)]
    return "  ".join([first.ljust(widths[0]), *aligned, numbers[3].ljust(widths[4]), numbers[4]])
