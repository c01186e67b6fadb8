"""The steps of a new container between fork and its own first instruction; nothing here may outlive a failure.

The order matters: own session, streams, permission to go on (the start is then on disk), view, folder, program.
"""

from __future__ import annotations

import _signal
import contextlib
import json
import os
import signal
import socket
from typing import Any, NoReturn

from services.node.runtime import linux, rewrite, sandbox
from services.node.runtime.paths import SYSTEM_PATH

START_ERROR_CODE = 128
SIGNALS = [int(number) for number in signal.valid_signals() if number not in (signal.SIGKILL, signal.SIGSTOP)]
_set_signal = _signal.signal  # without what makes names of numbers, at each of them
Request = dict[str, Any]


def run(request: Request, control: socket.socket, stdout: int, stderr: int, warm: bool) -> NoReturn:
    """Never returns: becomes the container, or reports on `control` why it cannot."""
    try:
        own_session(stdout, stderr)
        os.umask(0o077 if request["trusted"] else 0o022)  # the platform's own files are nobody else's business
        if not control.recv(1):
            os._exit(START_ERROR_CODE)  # the spawner died before it could record the start
        request = _enter_view(request)
        _enter_folder(request["cwd"])
        if warm and _run_warm(request, control):
            os._exit(0)
        execute(request)
    except BaseException as error:
        _report(control, error, request)
    os._exit(START_ERROR_CODE)


def own_session(stdout: int, stderr: int) -> None:
    with contextlib.suppress(OSError):
        os.setsid()
    null = os.open("/dev/null", os.O_RDONLY)
    for source, target in ((null, 0), (stdout, 1), (stderr, 2)):
        os.dup2(source, target)
    for spare in {null, stdout, stderr} - {0, 1, 2}:
        os.close(spare)
    for number in SIGNALS:
        with contextlib.suppress(OSError, ValueError):
            _set_signal(number, int(signal.SIG_DFL))
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.umask(0o022)


def _enter_view(request: Request) -> Request:
    if request["mode"] == "rewrite":
        return rewrite.rewritten(request)
    sandbox.enter(request["view"], request["mode"])
    return request


def _enter_folder(cwd: str) -> None:
    with contextlib.suppress(OSError):
        os.makedirs(cwd, exist_ok=True)
    os.chdir(cwd)


def _run_warm(request: Request, control: socket.socket) -> bool:
    """False when only a cold start would be faithful, which only shows inside the view."""
    from services.node.runtime import images, pyargs, pyrun

    program = pyargs.parse(request["python"])
    if program is None or not images.untouched(request["layout"]["sites"]):
        return False
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_IGN)
    linux.prctl(linux.PR_SET_NAME, os.path.basename(request["argv"][0]).encode()[:15])
    rename(request["argv"], request["env"])
    if request["mode"] == "rewrite":
        from services.node.runtime.hosts_site import sitecustomize

        sitecustomize.install(request["env"])
    control.close()
    pyrun.become(program, request["python"], request["env"], request["layout"])
    pyrun.end(pyrun.run(program))
    return True


def execute(request: Request) -> NoReturn:
    environment = request["env"]
    path = environment.get("PATH", SYSTEM_PATH)
    argv = request["argv"]
    if "/" in argv[0]:
        os.execve(argv[0], argv, environment)
    for folder in path.split(os.pathsep):
        candidate = os.path.join(folder or ".", argv[0])
        if os.access(candidate, os.X_OK) and not os.path.isdir(candidate):
            os.execve(candidate, argv, environment)
    raise FileNotFoundError(2, "executable file not found in $PATH", argv[0])


def _report(control: socket.socket, error: BaseException, request: Request) -> None:
    why = f"exec: {json.dumps(request['argv'][0])}: {getattr(error, 'strerror', None) or error}"
    if isinstance(error, OSError) and error.filename and error.filename != request["argv"][0]:
        why += f": {error.filename}"
    with contextlib.suppress(OSError):
        control.sendall(why.encode()[:4096])


def rename(argv: list[str], environment: dict[str, str]) -> None:
    """Writes argv and the marks over this process's start-up memory, where `ps` and the stray reaper read them.

    The server that was forked made room there with padding (the setproctitle technique).
    """
    with open("/proc/self/stat", "rb") as file:
        fields = file.read().rpartition(b")")[2].split()
    argv_start, argv_end, env_start, env_end = (int(field) for field in fields[45:49])
    marks = [f"{key}={value}" for key, value in environment.items() if key.startswith("MILLSTREAM_")]
    marks.sort(key=lambda mark: not mark.startswith(("MILLSTREAM_POD_UID", "MILLSTREAM_HOME", "MILLSTREAM_CONTAINER")))
    with contextlib.suppress(OSError), open("/proc/self/mem", "r+b", buffering=0) as memory:
        for start, end, words in ((argv_start, argv_end, argv), (env_start, env_end, marks)):
            room = end - start - 1
            text = b"".join(word.encode() + b"\0" for word in words)[:room]
            memory.seek(start)
            memory.write(text.ljust(end - start, b"\0"))
