"""The models that contracts.kinds registers, whatever they are: each module there shows a tuple `KINDS`."""

import importlib
import pkgutil
from collections.abc import Iterator, Mapping

from pydantic import BaseModel

from contracts.golden.schemas import DIALECT, SORT, Schema

PACKAGE = "contracts.kinds"


def kind_models() -> Mapping[str, type[BaseModel]]:
    """Each kind's model by its name, in order. Raises ValueError if two share one."""
    found: dict[str, type[BaseModel]] = {}
    for registered in _registered():
        model = getattr(registered, "model", registered)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            continue  # a kind without a model is described by no schema
        name = str(getattr(registered, "kind", model.__name__))
        if name in found and found[name] is not model:
            raise ValueError(f"two kinds are called {name}")
        found[name] = model
    return dict(sorted(found.items()))


def kind_schema(name: str, model: type[BaseModel]) -> Schema:
    """The schema of a whole object of the kind. It may refer to itself, so its definitions stay apart."""
    return {"$schema": DIALECT, "$id": f"urn:millstream:kind:{name}", SORT: "kind", **model.model_json_schema()}


def _registered() -> Iterator[object]:
    try:
        package = importlib.import_module(PACKAGE)
    except ModuleNotFoundError:
        return
    for module in sorted(found.name for found in pkgutil.iter_modules(package.__path__)):
        yield from getattr(importlib.import_module(f"{PACKAGE}.{module}"), "KINDS", ())
