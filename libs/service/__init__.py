"""The service shell: turns a service's parts into a running process; it must not know a particular event or kind.

Names are loaded when first used, so that importing one module of the shell does not pay for all of them.
"""

from typing import Any

_HOMES = {
    "App": "libs.service.app",
    "Given": "libs.service.app",
    "Manifest": "libs.service.manifest",
    "Ports": "libs.service.app",
    "load": "libs.service.manifest",
    "run": "libs.service.runner",
}

__all__ = ["App", "Given", "Manifest", "Ports", "load", "run"]


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
