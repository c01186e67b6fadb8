"""Why a node failed, read from what real programs printed (Python 3.11, torch 2.13, bash, pip, minio, pyarrow)."""

import subprocess
import sys
from typing import Any

import pytest

from services.trainer.domain.observed import Observed
from services.trainer.domain.outcome import Outcome, outcome
from tests.services.trainer.builders import child, pod

GLOO_ECHO = (
    "[rank0]:     work.wait()\n"
    "[rank0]: RuntimeError: [/__w/pytorch/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:553] Connection closed "
    "by peer [127.0.0.1]:8095. This is typically caused by a remote worker crashing. Check the logs of the remote "
    "worker before reporting an error."
)
GLOO_RESET = (
    "[rank1]: RuntimeError: [/__w/pytorch/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:537] Read error "
    "[127.0.0.1]:2443: Connection reset by peer. This is typically caused by a remote worker hanging or bugs in the "
    "application."
)
TORCHRUN = (
    "E1122 17:32:58.133000 9973 torch/distributed/elastic/multiprocessing/api.py:1002] failed (exitcode: {code}) "
    "local_rank: 1 (pid: 9977) of binary: /usr/bin/python\n"
    "Traceback (most recent call last):\n"
    '  File "/usr/bin/torchrun", line 8, in <module>\n'
    "    sys.exit(main())\n"
    "torch.distributed.elastic.multiprocessing.errors.ChildFailedError: \n"
    "============================================================\n"
    "train.py FAILED\n"
    "------------------------------------------------------------\n"
    "Root Cause (first observed failure):\n"
    "[0]:\n"
    "  time      : 2026-11-22_17:32:58\n"
    "  host      : localhost\n"
    "  rank      : 1 (local_rank: 1)\n"
    "  exitcode  : {code} (pid: 9977) \n"
    "  error_file: <N/A>\n"
    "  traceback : To enable traceback see: https://pytorch.org/docs/stable/elastic/errors.html\n"
)
S3_REFUSES = (
    "minio.error.InvalidResponseError: non-XML response from server; Response code: 403, Content-Type: text/xml; "
    'charset=utf-8, Body: <?xml version="1.0" encoding="UTF-8"?>\n'
    "<Error><Code>InvalidAccessKeyId</Code><Message>The Access Key Id you provided does not exist.</Message></Error>"
)
CUDA_OOM = (
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 15.89 GiB "
    "of which 14.01 GiB is free."
)
SAID = [
    pytest.param("ModuleNotFoundError: No module named 'notthere_x'", 1, "ImportError", "brings notthere_x in packages",
                 id="a package that is not there"),
    pytest.param("ImportError: cannot import name 'nothere' from 'json' (/usr/lib/json/__init__.py)", 1, "ImportError",
                 "pin it", id="a name that is not there"),
    pytest.param("    def f(:\n          ^\nSyntaxError: invalid syntax", 1, "SyntaxError", "does not parse",
                 id="code that does not parse"),
    pytest.param("IndentationError: expected an indented block after function definition on line 1", 1, "SyntaxError",
                 "does not parse", id="code that is not indented"),
    pytest.param("ConnectionRefusedError: [Errno 111] Connection refused", 1, "ConnectionRefused", "nobody listens",
                 id="nobody listens"),
    pytest.param("urllib.error.URLError: <urlopen error [Errno -2] Name or service not known>", 1, "NameNotResolved",
                 "DNS", id="a name that DNS does not know"),
    pytest.param("httpx.ConnectError: [Errno -2] Name or service not known", 1, "NameNotResolved", "DNS",
                 id="the same by httpx"),
    pytest.param("FileNotFoundError: [Errno 2] No such file or directory: '/data/train.csv'", 1, "FileNotFound",
                 "/workspace/dataset", id="a file that is not there"),
    pytest.param("python: can't open file '/work/nothere.py': [Errno 2] No such file or directory", 2, "FileNotFound",
                 "check the path", id="a program that is not there"),
    pytest.param("PermissionError: [Errno 13] Permission denied: '/data/x'", 1, "PermissionDenied", "securityContext",
                 id="a file that may not be written"),
    pytest.param("OSError: [Errno 28] No space left on device", 1, "DiskFull", "larger volume", id="a full disk"),
    pytest.param(
        "RuntimeError: [enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you "
        "tried to allocate 4000000000000000 bytes. Error code 12 (Cannot allocate memory)", 1, "OutOfMemory",
        "more memory", id="torch without memory"),
    pytest.param("MemoryError", 1, "OutOfMemory", "more memory", id="Python without memory"),
    pytest.param(CUDA_OOM, 1, "GPUOutOfMemory", "smaller batch", id="an accelerator without memory"),
    pytest.param("RuntimeError: DataLoader worker (pid 7) is killed by signal: Bus error. It is possible that "
                 "dataloader's workers are out of shared memory.", 1, "SharedMemoryFull", "/dev/shm", id="small shm"),
    pytest.param("sh: 1: nosuchtool: not found", 127, "CommandNotFound", "no such program", id="sh knows no command"),
    pytest.param("bash: line 1: nosuchtool: command not found", 127, "CommandNotFound", "no such program",
                 id="bash knows no command"),
    pytest.param("bash: line 1: /etc/passwd: Permission denied", 126, "CommandNotExecutable", "x bit",
                 id="a file that may not be run"),
    pytest.param("", 139, "Crashed", "native code", id="a crash"),
    pytest.param("", 134, "Crashed", "native code", id="an abort"),
    pytest.param("step 7", 137, "Killed", "ran out of memory", id="killed from outside"),
    pytest.param('AssertionError: Torch not compiled with CUDA enabled', 1, "NoGPU", "nvidia.com/gpu", id="no CUDA"),
    pytest.param('RuntimeError("Distributed package doesn\'t have NCCL built in")\n'
                 "RuntimeError: Distributed package doesn't have NCCL built in", 1, "NoGPU", "gloo", id="no NCCL"),
    pytest.param("torch.distributed.DistNetworkError: The client socket has timed out after 6000ms while trying to "
                 "connect to (127.0.0.1, 9).", 1, "RendezvousTimeout", "did not find each other", id="no rendezvous"),
    pytest.param("[rank0]: RuntimeError: [/__w/pytorch/pytorch/third_party/gloo/gloo/transport/tcp/unbound_buffer.cc:78"
                 "] Timed out waiting 6000ms for recv operation to complete", 1, "RankTimeout", "another one",
                 id="a rank that hangs"),
    pytest.param(GLOO_ECHO, 1, "PeerLost", "echo", id="a peer that died"),
    pytest.param(GLOO_RESET, 1, "PeerLost", "echo", id="a peer that was killed"),
    pytest.param("[rank1]: torch.distributed.DistNetworkError: Failed to recv, got 0 bytes. Connection was likely "
                 "closed. Did the remote server shutdown or crash?", 1, "PeerLost", "echo", id="the store is gone"),
    pytest.param("ERROR: Could not find a version that satisfies the requirement nosuch (from versions: none)\n"
                 "ERROR: No matching distribution found for nosuch", 1, "PackageNotFound", "packages_to_install",
                 id="a package that pip does not find"),
    pytest.param(S3_REFUSES, 1, "AccessDenied", "keys", id="keys that the store does not know"),
    pytest.param("OSError: When reading information for key 'x' in bucket 'b': AWS Error ACCESS_DENIED during "
                 "HeadObject operation: No response body.", 1, "AccessDenied", "keys", id="the same by pyarrow"),
    pytest.param("minio.error.S3Error: S3 operation failed; code: NoSuchBucket, message: The specified bucket does not "
                 "exist", 1, "BucketNotFound", "no such bucket", id="no such bucket"),
    pytest.param("there is nothing at s3://b/d", 1, "ObjectNotFound", "check the URI", id="nothing to download"),
    pytest.param(
        "socket.gaierror: [Errno -2] Name or service not known\n\nDuring handling of the above exception, another "
        "exception occurred:\n\nmypkg.LoaderError: no data", 1, "NameNotResolved", "DNS", id="a chain of exceptions"),
]  # fmt: skip


def judged(*pods: dict[str, Any], **tails: str) -> Outcome:
    found = outcome(Observed(job=child("Failed", "BackoffLimitExceeded"), pods=pods, tails=tails))
    assert found is not None
    return found


def failed(index: int, said: str, code: int = 1, at: str = "00") -> dict[str, Any]:
    return pod(index, "Failed", exitCode=code, message=said, finishedAt=f"2026-11-22T10:00:{at}Z")


@pytest.mark.parametrize(("said", "code", "reason", "remedy"), SAID)
def test_a_failure_has_one_word_and_a_remedy(said: str, code: int, reason: str, remedy: str):
    told = judged(failed(0, said, code))
    assert told.reason == reason
    assert remedy in told.message
    assert told.message.startswith(f"node-0 (node) ended with exit code {code}")


def test_what_nobody_knows_is_told_by_the_programs_own_last_words():
    told = judged(failed(0, "ValueError: bad batch 17"))
    assert (told.reason, told.message) == (
        "ExitCode",
        "node-0 (node) ended with exit code 1; its last words:\nValueError: bad batch 17",
    )


def test_an_exception_that_was_survived_is_not_taken_for_the_end():
    told = judged(
        failed(0, "ConnectionRefusedError: [Errno 111] Connection refused\nretrying\nValueError: bad batch 17")
    )
    assert told.reason == "ExitCode"


def test_the_cause_is_named_though_the_echo_ended_first():
    told = judged(failed(0, GLOO_ECHO, at="00"), failed(1, "ValueError: bad batch 17", at="05"))
    assert told.reason == "ExitCode"
    assert told.message.startswith("node-1") and "bad batch 17" in told.message


def test_a_node_that_was_taken_away_explains_what_its_peers_only_echo():
    gone = failed(1, "", 137)
    gone["status"]["conditions"] = [
        {"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI", "message": "drained"}
    ]
    assert judged(failed(0, GLOO_ECHO), gone).message == "node-1 was taken away: drained"


def test_echoes_alone_are_told_as_what_they_are():
    told = judged(failed(0, GLOO_ECHO), failed(1, GLOO_RESET))
    assert (told.reason, told.is_echo) == ("PeerLost", True)


def test_a_launchers_report_does_not_hide_what_the_program_said():
    said = f"[rank1]: ValueError: bad batch 17\n{GLOO_ECHO}\n{TORCHRUN.format(code=1)}"
    told = judged(failed(0, said))
    assert told.message.endswith("ValueError: bad batch 17\n[rank0]:     work.wait()\n" + GLOO_ECHO.splitlines()[1])
    assert "ChildFailedError" not in told.message


def test_a_process_that_was_killed_under_its_launcher_is_told_as_killed():
    assert judged(failed(0, f"step 7\n{TORCHRUN.format(code=-9)}")).reason == "Killed"


def test_the_longer_of_log_and_termination_message_is_read():
    short, node = failed(0, TORCHRUN.format(code=1)), "digits-node-0-0-abcde"
    whole = f"ModuleNotFoundError: No module named 'x'\n{TORCHRUN.format(code=1)}"
    assert judged(short, **{node: whole}).reason == "ImportError"


@pytest.mark.parametrize(
    ("program", "reason"),
    [
        ("import notthere_x", "ImportError"),
        ("open('/nowhere/data.csv')", "FileNotFound"),
        ("import socket; socket.create_connection(('127.0.0.1', 9))", "ConnectionRefused"),
        ("f = open('/dev/full', 'w'); f.write('x' * 99999); f.flush()", "DiskFull"),
        ("bytearray(10 ** 15)", "OutOfMemory"),
        ("def f(:\n pass", "SyntaxError"),
        ("import os; os.kill(os.getpid(), 11)", "Crashed"),
    ],
)
def test_programs_that_fail_here_and_now_are_understood(program: str, reason: str):
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=30)
    code = done.returncode if done.returncode >= 0 else 128 - done.returncode
    assert judged(failed(0, done.stderr, code)).reason == reason
