"""Brings a dataset or a model into a pod before training: `initializer URI FOLDER [dataset|model]`.

The folder appears when it is whole, a second run of the same finds it done, and a killed one is gone on with. Sources
are in `sources`, one for each scheme; what they need of keys and wishes comes from the environment.
"""

import os
import shutil
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from services.trainer.workloads.failure import Failure, no_such
from services.trainer.workloads.landing import Landing
from services.trainer.workloads.meter import Meter
from services.trainer.workloads.sources import source_of
from services.trainer.workloads.task import Task

DECIDING = ("IGNORE_PATTERNS", "ENDPOINT", "HF_ENDPOINT")


def main(argv: list[str], environ: Mapping[str, str], sleep: Callable[[float], None] = time.sleep) -> int:
    uri, folder, part = (*argv, "model")[:3]
    os.umask(0)  # the folder is the pod's own, and who trains on it may be any user
    meter = Meter(part, time.monotonic, _say)
    landing = Landing(Path(folder), {"uri": uri, "part": part, **{n: environ[n] for n in DECIDING if n in environ}})
    try:
        if landing.is_done():
            _say(f"{part}: {uri} is in {folder} already")
            return 0
        _say(f"{part}: fetching {uri}")
        _bring(Task(uri, part, landing.open(), environ, meter, sleep))
        landing.close()
    except Failure as failure:
        print(failure, file=sys.stderr, flush=True)
        return 1
    except OSError as error:
        print(f"{uri}: cannot be written: {error}; give the volume more room", file=sys.stderr, flush=True)
        return 1
    _say(f"{meter.line()}; {uri} is in {folder}")
    return 0


def _bring(task: Task) -> None:
    source_of(task.uri)(task)
    shutil.rmtree(task.into / ".millstream-notes", ignore_errors=True)
    if not any(task.into.iterdir()):
        raise no_such(task.uri, "no file came")


def _say(line: str) -> None:
    print(line, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], os.environ))
