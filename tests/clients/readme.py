"""The blocks of code in README.md and docs/pipelines.md, so that tests run what users read."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = "".join((ROOT / page).read_text() for page in ("README.md", "docs/pipelines.md"))


def block(language: str, mark: str) -> str:
    """The one block of code in this language that holds `mark`."""
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", PAGES, re.DOTALL) if mark in text]
    return str(found)
