"""The formats that can be served: one module and one line each; a module imports its framework only when loading."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

from services.serving.workloads.model_server.failure import BAD_ARGUMENTS, WRONG_FORMAT, StartFailure
from services.serving.workloads.model_server.model import Model


@dataclass(frozen=True)
class Framework:
    """`suffixes` in order of preference; the module has `load(path, threads) -> Model`."""

    name: str
    module: str
    suffixes: tuple[str, ...]


FRAMEWORKS = (
    Framework("sklearn", "sklearn_format", (".joblib", ".pkl", ".pickle")),
    Framework("xgboost", "xgboost_format", (".ubj", ".json", ".bst", ".model")),
    Framework("onnx", "onnx_format", (".onnx",)),
    Framework("pytorch", "pytorch_format", (".pt2", ".pt", ".pth")),
)


def framework(name: str) -> Framework:
    for known in FRAMEWORKS:
        if known.name == name:
            return known
    raise StartFailure(BAD_ARGUMENTS, f"unknown format {name!r}; known: {[f.name for f in FRAMEWORKS]}")


def find_model_file(known: Framework, path: Path) -> Path:
    """The file to load: the path itself, `model.<suffix>`, or the only file with the best suffix present."""
    if path.is_file():
        return path
    for suffix in known.suffixes:
        if (path / f"model{suffix}").is_file():
            return path / f"model{suffix}"
    for suffix in known.suffixes:
        found = sorted(p for p in path.rglob(f"*{suffix}") if p.is_file())
        if len(found) > 1:
            names = [str(p.relative_to(path)) for p in found[:5]]
            raise StartFailure(WRONG_FORMAT, f"several {suffix} files: {names}; name one of them model{suffix}")
        if found:
            return found[0]
    present = sorted(str(p.relative_to(path)) for p in path.rglob("*") if p.is_file())[:10]
    raise StartFailure(WRONG_FORMAT, f"no {known.name} model (*{', *'.join(known.suffixes)}) among {present}")


def load(name: str, path: Path, threads: int) -> Model:
    """Load a model; whatever the framework dislikes about the file becomes a StartFailure with its words."""
    known = framework(name)
    file = find_model_file(known, path)
    loader: Callable[[Path, int], Model] = import_module(f"{__name__}.{known.module}").load
    try:
        return loader(file, threads)
    except StartFailure:
        raise
    except Exception as error:
        raise StartFailure(
            WRONG_FORMAT, f"{file.name} cannot be loaded as {known.name}: {type(error).__name__}: {error}"
        ) from error
