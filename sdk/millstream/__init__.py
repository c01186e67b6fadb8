"""The user's door to Millstream: a small client, the `millstream` command and helpers for training code.

Importing this package loads nothing heavy; `millstream.Client` and `millstream.training` are loaded on first use.
"""

from __future__ import annotations

from typing import Any

__all__ = ["Client", "training"]


def __getattr__(name: str) -> Any:
    if name == "Client":
        from millstream.client import Client

        return Client
    if name == "training":
        import importlib

        return importlib.import_module("millstream.training")
    raise AttributeError(name)
