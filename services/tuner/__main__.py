"""`python -m services.tuner`: the service as a process, told what to do by MILLSTREAM_* variables."""

from libs.service import run
from services.tuner.app import build

if __name__ == "__main__":
    run(build)
