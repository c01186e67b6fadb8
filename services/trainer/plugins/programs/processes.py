"""Runs a command several times on one node: `processes.py COUNT VARIABLE [VARIABLE...] -- COMMAND...`.

Each copy finds its number among all copies of the job in the variables named (a TF_CONFIG has it inside), and its
number on this node in LOCAL_RANK. The first that fails ends the others; the exit code is its.
"""

import json
import os
import signal
import subprocess
import sys
import time

LOOK_S = 0.1
GRACE_S = 10.0


def main(words):
    at = words.index("--")
    count, names, command = int(words[0]), words[1:at], words[at + 1 :]
    node = int(os.environ.get("JOB_COMPLETION_INDEX", "0"))
    copies = [subprocess.Popen(command, env=_environment(names, node * count + local, local)) for local in range(count)]
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda got, _: _signal(copies, got))
    return _wait(copies)


def _environment(names, rank, local):
    own = dict(os.environ, LOCAL_RANK=str(local))
    for name in names:
        own[name] = _told(os.environ.get(name, ""), rank)
    return own


def _told(value, rank):
    if not value.startswith("{"):
        return str(rank)
    told = json.loads(value)
    told["task"]["index"] = rank
    return json.dumps(told)


def _wait(copies):
    while True:
        codes = [copy.poll() for copy in copies]
        failed = [code for code in codes if code]
        if failed or None not in codes:
            break
        time.sleep(LOOK_S)
    _signal(copies, signal.SIGTERM)
    for copy in copies:
        try:
            copy.wait(GRACE_S)
        except subprocess.TimeoutExpired:
            copy.kill()
    code = failed[0] if failed else 0
    return code if code >= 0 else 128 - code


def _signal(copies, number):
    for copy in copies:
        if copy.poll() is None:
            copy.send_signal(number)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
