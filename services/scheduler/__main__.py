"""`python -m services.scheduler`: the scheduler as a process, told what to do by MILLSTREAM_* variables."""

from libs.service import run
from services.scheduler.app import build

if __name__ == "__main__":
    run(build)
