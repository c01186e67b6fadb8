"""What `millstream pipeline run` makes of users' files: compiled and called in their own interpreter."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from millstream.errors import ClientError
from millstream.pipelines import files, inprocess

from tests.clients.conftest import environment

NEIGHBOUR = """
from kfp import dsl
@dsl.component
def double(x: int) -> int:
    if x > 100:
        raise ValueError(f"{x} is too much")
    return 2 * x
"""
PIPELINE = """
from kfp import dsl
from files import double
from runs import LIMIT

@dsl.pipeline(name="first-one")
def first(x: int = LIMIT) -> int:
    return double(x=x).output
"""
SECOND = """
@dsl.pipeline
def second():
    double(x=1)
"""
WRONG = """
@dsl.pipeline
def second():
    double(x=len(3))
"""
Write = Callable[[str], Path]


@pytest.fixture(scope="module")
def python() -> str:
    return str(environment("kfp") / "python")


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """The user's file with this text; its neighbour and a module on the path are called as modules of ours."""
    (tmp_path / "files.py").write_text(NEIGHBOUR)
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "runs.py").write_text("LIMIT = 3")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "path"))

    def written(text: str) -> Path:
        path = tmp_path / "pipe.py"
        path.write_text(text)
        return path

    return written


def test_a_file_imports_its_own_modules_whatever_they_are_called(
    python: str, write: Write, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    path = write(PIPELINE)
    compiled = files.read(path, python=python)
    assert compiled.name == "first-one"
    place = inprocess.Place(tmp_path / "run", python, path)
    place.folder.mkdir()
    end, _ = inprocess.run(compiled, {}, place, lambda task: None)
    assert str(end.state) == "SUCCEEDED", end
    end, _ = inprocess.run(compiled, {"x": 200}, place, lambda task: None)
    assert str(end.state) == "FAILED"
    told = capfd.readouterr().err
    assert told.startswith("Traceback") and told.endswith("ValueError: 200 is too much\n")
    assert told.count('  File "') == 1 and f'File "{tmp_path}/files.py", line 6, in double' in told


RETURNED = """
from kfp import dsl


@dsl.component
def make() -> dsl.Dataset:
    made = dsl.Dataset(uri=dsl.get_uri("mine"))
    open(made.path, "w").write("rows")
    return made


@dsl.component
def read(data: dsl.Dataset) -> str:
    return open(data.path).read()


@dsl.pipeline(name="returned")
def returned() -> str:
    return read(data=make().output).output
"""


def test_a_returned_artifact_needs_no_name_and_lies_where_get_uri_says(
    python: str, write: Write, tmp_path: Path
) -> None:
    path = write(RETURNED)
    place = inprocess.Place(tmp_path / "run", python, path)
    place.folder.mkdir()
    end, tasks = inprocess.run(files.read(path, python=python), {}, place, lambda task: None)
    assert str(end.state) == "SUCCEEDED", end
    assert "rows" in [task.outputs.parameters.get("Output") for task in tasks]


INTERRUPTED = """
from kfp import dsl


@dsl.component
def work():
    import os, signal, time

    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(60)


@dsl.component
def clean(file: str):
    open(file, "a").write("clean")


@dsl.pipeline(name="interrupted")
def interrupted(file: str):
    with dsl.ExitHandler(clean(file=file)):
        clean(file=file).after(work())
"""


@pytest.fixture
def hears_ctrl_c() -> Iterator[None]:
    """Also where the tests run in the background: a shell has it ignored there."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("hears_ctrl_c")
def test_after_ctrl_c_the_exit_tasks_run_and_nothing_else(python: str, write: Write, tmp_path: Path) -> None:
    path, told = write(INTERRUPTED), tmp_path / "told"
    place = inprocess.Place(tmp_path / "run", python, path)
    place.folder.mkdir()
    end, tasks = inprocess.run(files.read(path, python=python), {"file": str(told)}, place, lambda task: None)
    assert (str(end.state), end.error and end.error.message) == ("CANCELED", "ended by Ctrl-C")
    assert told.read_text() == "clean"
    assert {task.name: str(task.state) for task in tasks if task.name.startswith(("work", "clean"))} == {
        "work": "CANCELED",
        "clean": "SUCCEEDED",
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        pytest.param(PIPELINE + SECOND, r"defines 2 pipelines: choose one with --pipeline first \| second$", id="two"),
        pytest.param("x = 1", r"defines no pipeline: mark a function with @kfp.dsl.pipeline$", id="none"),
        pytest.param(
            "def x(:", r'^[^\n]*pipe.py could not be compiled:\n  File "[^\n]*pipe.py", line 1\n', id="syntax"
        ),
        pytest.param(
            "raise SystemExit(3)", r"ends the program while it is read: put that below `if __name__", id="end"
        ),
        pytest.param("import os; os._exit(5)", r"python ended with 5 while it compiled [^\n]*pipe.py$", id="exit"),
    ],
)
def test_a_file_that_cannot_be_compiled_is_told_what_to_change(
    python: str, write: Write, text: str, words: str
) -> None:
    with pytest.raises(ClientError, match=words):
        files.read(write(text), python=python)


def test_an_error_in_a_file_is_shown_with_the_users_own_lines_alone(python: str, write: Write) -> None:
    path = write(PIPELINE + WRONG)
    with pytest.raises(ClientError, match=r"object of type 'int' has no len\(\)$") as raised:
        files.read(path, python=python)
    told = str(raised.value)
    assert told.count('  File "') == told.count(f'File "{path}"') == 2, told


def test_a_folder_called_kfp_where_somebody_stands_is_not_taken_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "kfp").mkdir()
    (tmp_path / "kfp" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATH", str(Path(sys.executable).parent))
    with pytest.raises(ClientError, match="no Python with kfp was found"):
        files.interpreter()
