"""`python -m services.trainer`: the trainer as a process, told what to do by MILLSTREAM_* variables."""

from libs.service import run
from services.trainer.app import build

if __name__ == "__main__":
    run(build)
