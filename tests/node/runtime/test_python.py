"""A forked Python container behaves as a fresh interpreter does: each program is run both ways and compared."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from services.node.runtime.local import RuntimeConfig
from tests.node.runtime.conftest import Bench, bench_in

PROGRAMS = {
    "prints to both streams": "import sys\nprint('a')\nprint('b', file=sys.stderr)",
    "returns a code": "import sys\nsys.exit(5)",
    "returns a large code": "import sys\nsys.exit(257)",
    "leaves with a sentence": "raise SystemExit('no luck')",
    "fails uncaught": "def f():\n    return 1 / 0\nf()",
    "fails in a chain": "try:\n    {}['k']\nexcept KeyError as e:\n    raise ValueError('v') from e",
    "has a syntax error": "x = = 1",
    "runs exit functions": "import atexit\natexit.register(lambda: print('at exit'))\nprint('body')",
    "waits for threads": (
        "import threading, time\nthreading.Thread(target=lambda: (time.sleep(0.1), print('thread'))).start()"
    ),
    "flushes a file only globals hold": "f = open('out.txt', 'w')\nf.write('kept')",
    "has its own exception hook": "import sys\nsys.excepthook = lambda t, e, tb: print('hook', t.__name__)\n1 / 0",
    "is interrupted": "raise KeyboardInterrupt",
    "dies by a signal": "import os, signal\nos.kill(os.getpid(), signal.SIGTERM)",
    "leaves at once": "import os\nprint('x', flush=True)\nos._exit(9)",
    "asks who it is": "print(__name__, __file__, __spec__, __package__, __builtins__.__name__)",
    "has clean signals": (
        "import signal\nprint([signal.getsignal(s) for s in (2, 13, 15, 17)], signal.pthread_sigmask(0, ()))"
    ),
    "has clean paths": "import sys\nprint(sys.path, sys.prefix, sys.executable, sys.argv, sys.flags.safe_path)",
    "has clean streams": (
        "import sys\nfor s in (sys.stdin, sys.stdout, sys.stderr):\n"
        "    print(s.name, s.encoding, s.errors, s.line_buffering)"
    ),
    "has no descriptors of anybody else": "import os\nprint(sorted(os.listdir('/proc/self/fd')), os.getsid(0) > 0)",
    "reads nothing": "import sys\nprint(repr(sys.stdin.read()))",
    "pickles its own class": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))).__module__)",
    "raises in an exit function": "import atexit\natexit.register(lambda: 1 / 0)",
    "starts processes": (
        "import multiprocessing as m\ndef f(x): return x * x\n"
        "if __name__ == '__main__':\n    for how in ('fork', 'spawn', 'forkserver'):\n"
        "        with m.get_context(how).Pool(2) as p: print(how, p.map(f, range(4)))"
    ),
    "uses executors": (
        "from concurrent.futures import ProcessPoolExecutor as P\n"
        "if __name__ == '__main__':\n    with P(2) as p: print(list(p.map(abs, [-1, -2])))"
    ),
    "runs an event loop": "import asyncio\nasyncio.run(asyncio.sleep(0.01))\nprint('ran')",
}


@pytest.fixture
async def warm_bench(tmp_path: Path) -> AsyncIterator[Bench]:
    async with bench_in(tmp_path / "home", RuntimeConfig(warm_platform=True, ml="off")) as bench:
        yield bench


def _default_signals() -> None:
    """A runner in the background of a shell ignores SIGINT, and so would everything it starts."""
    for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


async def _cold(folder: Path, argv: list[str], env: dict[str, str]) -> tuple[int, str, str]:
    clean = {"PATH": f"{sys.prefix}/bin:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(folder), **env}
    process = await asyncio.create_subprocess_exec(
        *(str(Path(sys.prefix) / "bin" / "python"), *argv),
        cwd=folder,
        env=clean,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        # As a container has it. The session of whoever runs the tests may lie outside this PID namespace and read as 0.
        start_new_session=True,
        preexec_fn=_default_signals,
    )
    out, err = await process.communicate()
    code = process.returncode or 0
    return (128 - code if code < 0 else code), out.decode().strip(), err.decode().strip()


async def _difference(bench: Bench, folder: Path, argv: list[str], attempt: int, pod: str) -> str:
    """Empty when both ways end and speak the same."""
    root = Path(__file__).parents[3]
    env = {"PYTHONPATH": f"{root}{os.pathsep}{root / 'sdk'}"}
    spec = await bench.start("python", *argv, pod=pod, attempt=attempt, cwd=str(folder), trusted=True)
    ended = await bench.end(spec)
    warm = (ended.exit_code, bench.log(spec, "stdout").strip(), bench.log(spec, "stderr").strip())
    cold = await _cold(folder, argv, env)
    warm, cold = (tuple(re.sub(r"0x[0-9a-f]+", "0x", str(part)) for part in way) for way in (warm, cold))
    return "" if warm == cold else f"{argv} warm {warm}\n  cold {cold}"


async def test_every_program_ends_and_speaks_as_under_a_fresh_interpreter(warm_bench: Bench, tmp_path: Path) -> None:
    pod = await warm_bench.pod()
    found = []
    for attempt, (what, text) in enumerate(PROGRAMS.items()):
        folder = tmp_path / what.replace(" ", "_")
        folder.mkdir()
        (folder / "program.py").write_text(text + "\n")
        found.append(await _difference(warm_bench, folder, ["program.py"], attempt, pod))
    assert "\n".join(filter(None, found)) == ""
    assert (tmp_path / "flushes_a_file_only_globals_hold" / "out.txt").read_text() == "kept"


async def test_every_way_to_name_a_program_means_what_it_means_to_python(warm_bench: Bench, tmp_path: Path) -> None:
    package = tmp_path / "pack"
    package.mkdir()
    show = "import sys\nprint(__name__, globals().get('__file__'), sys.argv, sys.path[0], sys.orig_argv[1:])\n"
    for name in ("__init__.py", "__main__.py", "part.py"):
        (package / name).write_text(show)
    pod = await warm_bench.pod()
    lines = [["-c", show, "x"], ["-m", "pack", "x"], ["-mpack.part"], ["pack"], ["-u", "pack/part.py", "-c"], ["-"]]
    lines += [
        ["-m", "nowhere"],
        ["nowhere.py"],
        ["-c", "1/0"],
        ["-uBc", show],
        [],
        ["-m", "json.tool", "/dev/null"],
        ["-m", "http.server", "-h"],
    ]
    found = [await _difference(warm_bench, tmp_path, argv, at, pod) for at, argv in enumerate(lines)]
    assert "\n".join(filter(None, found)) == ""


async def test_a_fork_for_a_foreign_image_finds_modules_where_its_interpreter_does(warm_bench: Bench) -> None:
    pod, code = await warm_bench.pod(), "import sys; print(sys.path)"
    ways = [["python", "-c", code], ["sh", "-c", 'exec python -c "$0"', code]]
    found = [
        await warm_bench.run(*argv, pod=pod, attempt=at, image="millstream/python") for at, argv in enumerate(ways)
    ]
    assert found[0][1] == found[1][1]
    assert (await warm_bench.run("python", "-c", "import millstream", pod=pod, attempt=2))[0].exit_code == 0


async def test_two_forks_of_one_server_share_no_randomness(warm_bench: Bench) -> None:
    code = "import random, uuid, secrets, tempfile, numpy.random as n, ssl\n"
    code += "print(random.random(), uuid.uuid4(), secrets.token_hex(4), n.rand(), ssl.RAND_bytes(4).hex())"
    pod = await warm_bench.pod()
    texts = [(await warm_bench.run("python", "-c", code, pod=pod, attempt=n))[1].split() for n in range(2)]
    assert len(texts[0]) == 5
    assert not set(texts[0]) & set(texts[1])


async def test_the_process_list_shows_the_program_and_its_marks(warm_bench: Bench) -> None:
    spec = await warm_bench.start("python", "-c", "import time; time.sleep(60)")
    process = Path(f"/proc/{(await warm_bench.running(spec)).pid}")
    async with asyncio.timeout(30):
        while not (process / "cmdline").read_bytes().startswith(b"python\0-c\0import time"):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    marks = (process / "environ").read_bytes().split(b"\0")
    assert f"MILLSTREAM_POD_UID={spec.pod_uid}".encode() in marks
    assert f"MILLSTREAM_HOME={warm_bench.runtime.paths.home}".encode() in marks


async def test_a_console_script_of_the_environment_is_forked(warm_bench: Bench) -> None:
    ended, text = await warm_bench.run("alembic", "--version")
    assert ended.exit_code == 0
    assert text.startswith("alembic ")
