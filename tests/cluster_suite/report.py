"""What the suite found: a table of steps, the figures, everything that was left out; printed and written to a file."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

Outcome = Literal["passed", "failed", "skipped"]


@dataclass(frozen=True)
class Row:
    """One step, or a part of one. `words` say what was seen, or why it was skipped or failed."""

    step: str
    outcome: Outcome
    seconds: float
    words: str = ""


@dataclass
class Report:
    """Rows in the order of the steps; figures by name with their unit in the name."""

    rows: list[Row] = field(default_factory=list)
    figures: dict[str, float] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)

    @property
    def failed(self) -> bool:
        return any(row.outcome == "failed" for row in self.rows)

    def add(self, step: str, outcome: Outcome, seconds: float = 0.0, words: str = "") -> None:
        self.rows.append(Row(step, outcome, seconds, words))

    def note(self, *sentences: str) -> None:
        self.notes += sentences

    def figure(self, name: str, value: float) -> None:
        self.figures[name] = round(value, 3)

    def text(self) -> str:
        """For people."""
        width = max((len(row.step) for row in self.rows), default=4)
        lines = ["", "What the suite found", ""]
        for row in self.rows:
            first, *rest = row.words.splitlines() or [""]
            lines.append(f"  {row.outcome:<7}  {row.step:<{width}}  {row.seconds:7.1f} s  {first}".rstrip())
            lines += [" " * (width + 23) + line for line in rest]
        if self.notes:
            lines += ["", "About this cluster", "", *(f"  - {note}" for note in self.notes)]
        if self.figures:
            lines += ["", "Figures", "", *(f"  {name:<44} {value:10.2f}" for name, value in self.figures.items())]
        counts = {
            outcome: sum(row.outcome == outcome for row in self.rows) for outcome in ("passed", "failed", "skipped")
        }
        return "\n".join([*lines, "", ", ".join(f"{count} {outcome}" for outcome, count in counts.items()), ""])

    def write(self, path: Path) -> None:
        """The same text, and JSON beside it."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(self.text())
        told = {"rows": [row.__dict__ for row in self.rows], "figures": self.figures, "notes": self.notes}
        path.with_suffix(".json").write_text(json.dumps(told, indent=1) + "\n")
