"""Compiles sources/ into a folder; runs inside one client's environment and must assume nothing but `kfp` there.

A source that an older release cannot compile (it lacks the feature) is left out of that release's folder, and its name
goes with the reason into what is printed.
"""

import importlib.util
import json
import sys
import warnings
from pathlib import Path


def load(source):
    spec = importlib.util.spec_from_file_location(source.stem, source)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.pipeline


def compile_all(sources, folder):
    from kfp import compiler

    left_out = {}
    for source in sorted(sources.glob("*.py")):
        target = folder / f"{source.stem}.yaml"
        try:
            compiler.Compiler().compile(load(source), str(target))
        except Exception as error:  # every release refuses what it does not know in its own way
            target.unlink(missing_ok=True)
            left_out[source.stem] = f"{type(error).__name__}: {error}"
    return left_out


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print("RESULT " + json.dumps(compile_all(Path(sys.argv[1]), Path(sys.argv[2]))))
