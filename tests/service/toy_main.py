"""The toy service as a process that dies where its arguments say: toy_main.py STEP MARKER."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from libs.service.app import Given
from libs.service.runner import run
from tests.service.toy import HASTY, killer, toy_app

if __name__ == "__main__":
    run(toy_app, given=Given(tuning=HASTY, fault=killer(sys.argv[1], Path(sys.argv[2]))), argv=[])
