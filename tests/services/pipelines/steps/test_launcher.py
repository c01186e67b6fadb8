"""The launcher as a process of its own between a real step door and a real S3 server."""

import asyncio
import json
import sys
from hashlib import sha256
from pathlib import Path

import pytest

from libs.base import SystemClock
from libs.base.errors import Forbidden
from libs.blobs import Endpoint, S3Blobs
from libs.blobs.api import digest
from services.pipelines.adapters import stepfiles
from services.pipelines.adapters.presence import Presence
from services.pipelines.adapters.stepfiles import SignedFiles
from services.pipelines.domain.engine.records import DAMAGED, Artifact, Outputs, Values
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.ir.model import ArtifactSpec, Interface, ParamSpec, ParamType
from services.pipelines.domain.steps import places
from services.pipelines.domain.steps.places import EMPTY
from services.pipelines.workloads.launcher.door import Wire
from services.pipelines.workloads.launcher.places import Places
from services.pipelines.workloads.launcher.transfers import fetch
from tests.services.pipelines.steps.places import BUCKET, Bench, bench, moved, ordered

ROOT = f"s3://{BUCKET}/pipelines/team/r1/step/1"
PYTHON = [sys.executable, "-c"]


def gives(*artifacts: str, **parameters: ParamType) -> Interface:
    return Interface(
        {name: ParamSpec(name, kind) for name, kind in parameters.items()},
        {name: ArtifactSpec(name, "system.Model") for name in artifacts},
    )


async def test_what_a_container_writes_is_stored_and_told_with_its_types(place: Bench) -> None:
    places = ["{{$.outputs.parameters['n'].output_file}}", "{{$.outputs.artifacts['model'].path}}"]
    command = ["sh", "-c", 'printf 7 > "$0"; printf weights > "$1"; echo done', *places]
    ended = await place.run(ordered(command, gives=gives("model", n=ParamType.INTEGER)))
    assert (ended.code, ended.output) == (0, "done\n")
    assert isinstance(ended.outcome, Succeeded)
    assert ended.outcome.outputs.parameters == {"n": 7}
    [model] = ended.outcome.outputs.artifacts["model"]
    assert (model.uri, model.size, model.digest) == (f"{ROOT}/model", 7, f"sha256:{digest(b'weights')}")
    assert await place.blobs.get("pipelines/team/r1/step/1/model") == b"weights"
    assert await place.blobs.get("pipelines/team/r1/step/1/executor-logs") == b"done\n"


async def test_inputs_are_there_before_the_program_begins_files_and_folders_alike(place: Bench) -> None:
    await place.blobs.put("pipelines/team/r0/a/1/data", b"rows")
    await place.blobs.put("pipelines/team/r0/b/1/tree/x/1", b"one")
    await place.blobs.put("pipelines/team/r0/b/1/tree/2", b"two")
    data = Artifact("data", f"s3://{BUCKET}/pipelines/team/r0/a/1/data", digest=f"sha256:{digest(b'rows')}")
    tree = Artifact("tree", f"s3://{BUCKET}/pipelines/team/r0/b/1/tree")
    given = Values({}, {"data": (data,), "tree": (tree,)})
    command = ["sh", "-c", 'cat "$0" "$1/x/1" "$1/2"', "{{$.inputs.artifacts['data'].path}}",
               "{{$.inputs.artifacts['tree'].path}}"]  # fmt: skip
    ended = await place.run(ordered(command, given))
    assert (ended.code, ended.output) == (0, "rowsonetwo")


async def test_an_import_into_the_workspace_is_read_where_no_workspace_can_be_mounted_too(place: Bench) -> None:
    await place.blobs.put("pipelines/team/words", b"kept")
    words = Artifact("words", f"s3://{BUCKET}/pipelines/team/words", metadata={places.IN_WORKSPACE: True})
    path = ordered(["cat", "{{$.inputs.artifacts['words'].path}}"], Values({}, {"words": (words,)}))
    assert path.command == ("cat", f"/kfp-workspace/.artifacts/s3/{BUCKET}/pipelines/team/words")
    assert (await place.run(path)).output == "kept"


async def test_an_import_into_the_workspace_is_brought_once(place: Bench, tmp_path: Path) -> None:
    key, there = "pipelines/team/once", tmp_path / "workspace" / "once"
    given = {"name": "words", "objects": [{"path": str(there), "url": place.blobs.presign(key)}], "kept": True}
    for text in (b"first", b"second"):
        await place.blobs.put(key, text)
        await asyncio.to_thread(fetch, Wire(), Places("/s3", BUCKET), [given])
        assert there.read_bytes() == b"first"
    assert [path.name for path in there.parent.iterdir()] == ["once"]


async def test_an_input_whose_bytes_changed_fails_the_step_before_it_begins(place: Bench) -> None:
    await place.blobs.put("pipelines/team/r0/c/1/data", b"others")
    data = Artifact("data", f"s3://{BUCKET}/pipelines/team/r0/c/1/data", digest=f"sha256:{digest(b'rows')}")
    ended = await place.run(ordered(["echo", "began"], Values({}, {"data": (data,)})))
    assert isinstance(ended.outcome, Failed) and "its digest differs" in ended.outcome.error.message
    assert (ended.outcome.error.reason, ended.outcome.final) == (DAMAGED, True), "another attempt would read the same"
    assert "began" not in ended.output


MAKE = ["sh", "-c", 'mkdir -p "$0"; [ -z "$1" ] || { mkdir "$0/b"; echo 1 > "$0/b/1"; echo 2 > "$0/a"; }']


async def handed_on(place: Bench, fill: str) -> Artifact:
    """A folder that a step has made."""
    made = await place.run(ordered([*MAKE, "{{$.outputs.artifacts['m'].path}}", fill], gives=gives("m")))
    assert isinstance(made.outcome, Succeeded)
    return made.outcome.outputs.artifacts["m"][0]


async def test_an_empty_folder_is_an_empty_folder_for_its_reader(place: Bench) -> None:
    folder = await handed_on(place, "")
    assert (folder.digest, folder.size) == (EMPTY, 0)
    command = ["sh", "-c", 'test -d "$0" && ls -A "$0" | wc -l', "{{$.inputs.artifacts['m'].path}}"]
    read = await place.run(ordered(command, Values({}, {"m": (folder,)}), attempt=2))
    assert (read.code, read.output.strip()) == (0, "0")
    blobs = Presence(place.blobs, BUCKET, SystemClock())
    assert await blobs.lost(Outputs({}, {"m": (folder,)})) == "", "nothing of it can be missing"


async def test_a_folder_of_which_a_file_changed_or_went_fails_who_reads_it(place: Bench) -> None:
    folder = await handed_on(place, "full")
    key = folder.uri.removeprefix(f"s3://{BUCKET}/")
    given = Values({}, {"m": (folder,)})
    command = ["cat", "{{$.inputs.artifacts['m'].path}}/b/1"]
    assert (await place.run(ordered(command, given, attempt=2))).output == "1\n"
    await place.blobs.put(f"{key}/b/1", b"3\n")
    changed = await place.run(ordered(command, given, attempt=3))
    await place.blobs.put(f"{key}/b/1", b"1\n")
    await place.blobs.delete(f"{key}/a")
    less = await place.run(ordered(command, given, attempt=4))
    for ended in (changed, less):
        assert isinstance(ended.outcome, Failed) and ended.outcome.error.reason == DAMAGED
        assert folder.uri in ended.outcome.error.message


async def test_a_folder_is_stored_file_by_file_and_has_one_digest(place: Bench) -> None:
    command = [
        "sh",
        "-c",
        'mkdir -p "$0/sub"; echo a > "$0/1"; echo b > "$0/sub/2"',
        "{{$.outputs.artifacts['m'].path}}",
    ]
    first = await place.run(ordered(command, gives=gives("m")))
    second = await place.run(ordered(command, gives=gives("m"), attempt=2))
    assert isinstance(first.outcome, Succeeded) and isinstance(second.outcome, Succeeded)
    [one], [two] = first.outcome.outputs.artifacts["m"], second.outcome.outputs.artifacts["m"]
    assert one.digest == two.digest and one.digest.startswith("sha256-tree:")
    keys = [each.key for each in await place.blobs.list("pipelines/team/r1/step/2/m/")]
    assert [key.rpartition("/m/")[2] for key in keys] == ["1", "sub/2"]


async def test_a_file_too_large_for_one_request_is_stored_in_parts(
    endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepfiles, "PART_BYTES", 5 * 2**20)
    monkeypatch.setattr(stepfiles, "PARTS_AT_ONCE", 2)
    blobs = S3Blobs(endpoint, BUCKET)
    program = "import sys; open(sys.argv[1], 'wb').write(bytes(range(256)) * 65536)"
    async with bench(blobs, tmp_path, single_max=2**20) as place:
        order = ordered([sys.executable, "-c", program, "{{$.outputs.artifacts['big'].path}}"], gives=gives("big"))
        ended = await place.run(order)
        assert isinstance(ended.outcome, Succeeded), ended.output
        [made] = ended.outcome.outputs.artifacts["big"]
        whole = bytes(range(256)) * 65536
        assert await blobs.read("pipelines/team/r1/step/1/big") == whole
        assert (made.size, made.digest) == (len(whole), f"sha256:{sha256(whole).hexdigest()}")
        key, order_files = "pipelines/team/r1/step/1/big", SignedFiles(blobs, BUCKET, None, 2**20)  # type: ignore[arg-type]
        told = await order_files.parts(order, f"s3://{BUCKET}/{key}", 16 * 2**20, "", 1)
        assert (len(told["urls"]), told["bytes"]) == (2, 5 * 2**20)
        with pytest.raises(Forbidden):
            await order_files.parts(order, f"s3://{BUCKET}/pipelines/team/other/x", 16 * 2**20, "", 1)
    blobs.close()


async def test_what_kfps_executor_writes_keeps_types_metadata_and_a_path_of_its_own(place: Bench) -> None:
    program = """if True:
        import json, sys, pathlib
        told = json.loads(sys.argv[1]); out = pathlib.Path(told["outputs"]["outputFile"])
        model = told["outputs"]["artifacts"]["scored"]["artifacts"][0]
        pathlib.Path("elsewhere").write_text("x")
        model["metadata"] = {"accuracy": 0.5}; model["custom_path"] = "elsewhere"
        n = told["inputs"]["parameterValues"]["n"]
        out.write_text(json.dumps({"parameterValues": {"n": n + 1, "d": {"a": [1]}},
                                   "artifacts": {"scored": {"artifacts": [model]}}}))"""
    promised = gives("scored", n=ParamType.INTEGER, d=ParamType.STRUCT)
    ended = await place.run(ordered([*PYTHON, program, "{{$}}"], Values({"n": 2}), promised))
    assert isinstance(ended.outcome, Succeeded), ended
    assert ended.outcome.outputs.parameters == {"n": 3, "d": {"a": [1]}}
    [model] = ended.outcome.outputs.artifacts["scored"]
    assert (model.uri, model.metadata, model.size) == (f"{ROOT}/scored", {"accuracy": 0.5}, 1)


async def test_an_artifact_with_a_uri_of_get_uri_is_stored_with_the_attempts_outputs(place: Bench) -> None:
    """kfp takes the folder of the executor's file for the task's, and its path for a URI, if it is below /s3."""
    program = """if True:
        import json, sys, pathlib
        out = pathlib.Path(json.loads(sys.argv[1])["outputs"]["outputFile"])
        (out.parent / "mine").write_text("x")
        made = {"name": "m", "uri": str(out.parent / "mine")}
        out.write_text(json.dumps({"artifacts": {"m": {"artifacts": [made]}}}))"""
    ended = await place.run(ordered([*PYTHON, program, "{{$}}"], gives=gives("m")))
    assert isinstance(ended.outcome, Succeeded), ended
    assert ended.outcome.outputs.artifacts["m"][0].uri == f"{ROOT}/mine"
    assert await place.blobs.get("pipelines/team/r1/step/1/mine") == b"x"
    mounted = Places("/s3", BUCKET)
    assert mounted.uri("s3://.millstream/mine", ROOT) == f"{ROOT}/mine"
    assert mounted.path("s3://.millstream/mine") == "/s3/.millstream/mine"


async def test_a_failed_step_says_its_last_line_and_its_output_is_kept(place: Bench) -> None:
    ended = await place.run(ordered([*PYTHON, "print('first'); raise ValueError('no such column: age')"]))
    assert ended.code == 1
    assert isinstance(ended.outcome, Failed)
    assert ended.outcome.error.message == "the step's program ended with exit code 1: ValueError: no such column: age"
    assert b"first" in await place.blobs.get("pipelines/team/r1/step/1/executor-logs")


async def test_what_was_promised_and_not_written_or_of_another_type_fails_the_step(place: Bench) -> None:
    missing = await place.run(ordered(["true"], gives=gives(n=ParamType.INTEGER)))
    command = ["sh", "-c", 'echo many > "$0"', "{{$.outputs.parameters['n'].output_file}}"]
    wrong = await place.run(ordered(command, gives=gives(n=ParamType.INTEGER)))
    assert (
        isinstance(missing.outcome, Failed) and "output parameter 'n' was not written" in missing.outcome.error.message
    )
    assert isinstance(wrong.outcome, Failed) and "is NUMBER_INTEGER" in wrong.outcome.error.message


async def test_a_program_that_is_not_there_or_is_killed_is_told_as_such(place: Bench) -> None:
    absent = await place.run(ordered(["no-such-program"]))
    killed = await place.run(ordered(["sh", "-c", "kill -9 $$"]))
    assert isinstance(absent.outcome, Failed) and "no-such-program" in absent.outcome.error.message
    assert (
        isinstance(killed.outcome, Failed) and "by SIGKILL, most likely out of memory" in killed.outcome.error.message
    )
    assert killed.code == 137


async def test_the_program_sees_its_own_environment_and_none_of_the_launchers(place: Bench) -> None:
    ended = await place.run(ordered(["env"], MINE="here"))
    assert "MINE=here" in ended.output
    assert "MILLSTREAM_STEP" not in ended.output


async def test_an_attempt_that_does_not_count_or_has_another_token_runs_nothing(place: Bench) -> None:
    order = ordered(["echo", "began"])
    stranger = await place.run(order, MILLSTREAM_STEP_KEY="of another namespace")
    stale = place.environment(moved(order, attempt=7))
    late = await place.run(order, MILLSTREAM_STEP_URL=stale["MILLSTREAM_STEP_URL"])
    assert (stranger.code, late.code) == (3, 3)
    assert "began" not in stranger.output + late.output
    assert place.desk.results == []


async def test_a_result_is_brought_until_the_service_has_taken_it(place: Bench) -> None:
    place.desk.away = 2
    ended = await place.run(ordered(["true"]))
    assert (ended.code, len(place.desk.results)) == (0, 1)


async def test_a_stopped_pod_ends_its_program_and_reports_nothing_but_leaves_what_it_printed(place: Bench) -> None:
    process = await place.begin(ordered([*PYTHON, "import time; print('up', flush=True); time.sleep(60)"]))
    assert process.stdout is not None
    assert await process.stdout.readline() == b"up\n"
    process.terminate()
    assert await asyncio.wait_for(process.wait(), 30) == 143
    assert place.desk.results == []
    assert await place.blobs.read("pipelines/team/r1/step/1/executor-logs") == b"up\n"


async def test_a_function_of_kfp_runs_in_a_fork_and_says_the_same_as_in_an_interpreter_of_its_own(place: Bench) -> None:
    packages = write_executor(place.folder / "packages")
    order = ordered(FUNCTION, Values({"n": 4}), gives(Output=ParamType.INTEGER))
    forked = await place.run(order, PYTHONPATH=packages)
    whole = await place.run(moved(order, command=("sh", "-c", '"$0" "$@"', *order.command)), PYTHONPATH=packages)
    assert isinstance(forked.outcome, Succeeded), forked
    assert forked.outcome.outputs.parameters == {"Output": 5}
    ours, theirs = json.loads(forked.output), json.loads(whole.output)
    assert ours == {**theirs, "parent": ours["parent"]}
    assert (ours["parent"], theirs["parent"]) == ("launcher", "another")


async def test_what_a_function_prints_is_seen_while_it_runs(place: Bench) -> None:
    """Both in a fork and in an interpreter of its own."""
    packages = write_executor(place.folder / "packages")
    waits = "def add(n):\n    import time\n    print('up')\n    time.sleep(60)\n"
    command = [waits if word == SOURCE else word for word in FUNCTION]
    order = ordered(command, Values({"n": 4}), gives(Output=ParamType.INTEGER))
    for one in (order, moved(order, command=("sh", "-c", '"$0" "$@"', *order.command))):
        process = await place.begin(one, PYTHONPATH=packages)
        assert process.stdout is not None
        assert await asyncio.wait_for(process.stdout.readline(), 30) == b"up\n"
        process.terminate()
        await asyncio.wait_for(process.wait(), 30)


def write_executor(folder: Path) -> str:
    """A package kfp that has the executor alone, as small as its contract allows."""
    (folder / "kfp" / "dsl").mkdir(parents=True)
    (folder / "kfp" / "__init__.py").touch()
    (folder / "kfp" / "dsl" / "__init__.py").touch()
    (folder / "kfp" / "dsl" / "executor_main.py").write_text(EXECUTOR)
    return str(folder)


SOURCE = "def add(n): return n + 1\n"
FUNCTION = [
    "sh",
    "-ec",
    'program_path=$(mktemp -d)\n\nprintf "%s" "$0" > "$program_path/ephemeral_component.py"\n'
    "_KFP_RUNTIME=true python3 -m kfp.dsl.executor_main                         "
    "--component_module_path                         "
    '"$program_path/ephemeral_component.py"                         "$@"\n',
    SOURCE,
    *("--executor_input", "{{$}}", "--function_to_execute", "add"),
]
EXECUTOR = """
import json, os, runpy, sys
path, told = sys.argv[2], json.loads(sys.argv[4])
function = runpy.run_path(path)[sys.argv[6]]
with open(told["outputs"]["outputFile"], "w") as file:
    json.dump({"parameterValues": {"Output": function(told["inputs"]["parameterValues"]["n"])}}, file)
with open(f"/proc/{os.getppid()}/cmdline") as file:
    parent = "launcher" if "launcher.pyz" in file.read() else "another"
found = {"parent": parent, "name": __name__, "runtime": os.environ["_KFP_RUNTIME"], "arguments": sys.argv[5:]}
found["first"], found["module"], found["python"] = sys.path[0], os.path.basename(path), os.path.dirname(sys.executable)
print(json.dumps(found))
"""
