"""The blocks of code in README.md, so that tests run what users read."""

from __future__ import annotations

import re
from pathlib import Path

README = (Path(__file__).parents[2] / "README.md").read_text()


def block(language: str, mark: str) -> str:
    """The one block of code in this language that holds `mark`."""
    [found] = [text for text in re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL) if mark in text]
    return str(found)
