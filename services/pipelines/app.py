"""The pipelines service put together: this is the one place that knows all its parts."""

from __future__ import annotations

from pathlib import Path

from libs.service.app import App
from libs.service.manifest import load

HERE = Path(__file__).parent


def build() -> App:
    """The parts of the service; opens nothing."""
    return App(manifest=load(HERE / "service.yaml"), migrations=HERE / "adapters" / "migrations")
