"""Opens single modules of the big generated model packages; must not assume that anybody wants all 388 of them.

`kubeflow_trainer_api.models` imports every model it has (1.4 s, a third of a service's start). The modules import one
another by full name, so an empty package object with the right search path lets one take only those that are needed.
"""

import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any


def upstream(package: str, module: str, name: str) -> Any:
    """The class `name` of `<package>.models.<module>`. Raises ImportError where the package is not installed."""
    _stand_in(package)
    return getattr(import_module(f"{package}.models.{module}"), name)


def _stand_in(package: str) -> None:
    full = f"{package}.models"
    if full in sys.modules:
        return
    spec = find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise ImportError(f"{package} is not installed")
    models = ModuleType(full, "Stand-in for the package's own __init__, see contracts.kinds.upstream.")
    models.__path__ = [str(Path(place) / "models") for place in spec.submodule_search_locations]
    sys.modules[full] = models
