"""What steps leave behind that nobody can store or wait for: told as why the step failed, and not done once more."""

import json
import sys
from pathlib import Path

import httpx
import pytest

from services.pipelines.adapters import stepfiles
from services.pipelines.domain.engine.records import Artifact, Values
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.steps.tokens import namespace_key, token_for
from tests.services.pipelines.steps.places import BUCKET, SECRET, Bench, ordered
from tests.services.pipelines.steps.test_launcher import gives

MODEL = "{{$.outputs.artifacts['m'].path}}"
OUTPUT = "{{$.outputs.output_file}}"
BEGIN = "import os, shutil, subprocess, sys; m, out = sys.argv[1:]; "
LEFT = {
    "names that are no text": ("os.makedirs(m); open(os.fsencode(m) + b'/\\xff', 'w').close()", "rename it"),
    "names of two lines": ("os.makedirs(m); open(m + '/a\\nb', 'w').close()", "rename it"),
    "too many files": ("os.makedirs(m); [os.link(out, f'{m}/{n}') for n in range(10_001)]", "pack them into one"),
    "an output file of lists": ("open(out, 'w').write('[' * 100_000)", "is not JSON"),
    "metadata that is no object": (
        """open(out, 'w').write('{"artifacts": {"m": {"artifacts": [{"metadata": "words"}]}}}')""",
        "what the step gave was not taken",
    ),
    "an output file of other types": ("open(out, 'w').write('{\"artifacts\": [1]}')", "has no attribute"),
}


@pytest.mark.parametrize("left", LEFT)
async def test_what_cannot_be_stored_fails_the_step_with_a_sentence(place: Bench, left: str) -> None:
    does, why = LEFT[left]
    program = f"{BEGIN}open(out, 'w').write('{{}}'); {does}"
    ended = await place.run(ordered([sys.executable, "-c", program, MODEL, OUTPUT], gives=gives("m")))
    assert isinstance(ended.outcome, Failed), ended.output
    assert why in ended.outcome.error.message


async def test_a_step_that_removes_what_its_launcher_keeps_has_still_done_its_work(place: Bench) -> None:
    program = f"{BEGIN}open(m, 'w').write('x'); print('gone'); shutil.rmtree(os.path.dirname(out))"
    ended = await place.run(ordered([sys.executable, "-c", program, MODEL, OUTPUT], gives=gives("m")))
    assert isinstance(ended.outcome, Succeeded), ended.output


async def test_a_child_that_prints_for_ever_is_not_waited_for(place: Bench) -> None:
    child = "import time\nwhile True: print('.', flush=True); time.sleep(0.05)"
    program = f"{BEGIN}subprocess.Popen([sys.executable, '-c', {child!r}], start_new_session=True)"
    ended = await place.run(ordered([sys.executable, "-c", program, "", ""]))
    assert isinstance(ended.outcome, Succeeded), ended.output


async def test_an_input_of_more_files_than_are_handed_out_fails_instead_of_missing_some(
    place: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stepfiles, "FILES_MAX", 2)
    for number in range(3):
        await place.blobs.put(f"pipelines/team/r0/many/1/tree/{number}", b"x")
    tree = Artifact("tree", f"s3://{BUCKET}/pipelines/team/r0/many/1/tree")
    ended = await place.run(ordered(["true"], Values({}, {"tree": (tree,)})))
    assert isinstance(ended.outcome, Failed), ended.output
    assert "has more than 2 files" in ended.outcome.error.message


async def test_a_component_without_a_command_is_told_that_it_needs_one(place: Bench) -> None:
    ended = await place.run(ordered([]))
    assert isinstance(ended.outcome, Failed) and "names no command" in ended.outcome.error.message


async def test_an_output_that_is_still_written_to_is_not_recorded(place: Bench) -> None:
    child = "import sys, time\nend = time.time() + 20\nwhile time.time() < end: open(sys.argv[1], 'a').write('x')"
    program = f"{BEGIN}open(m, 'w').write('y' * 40_000_000); subprocess.Popen([sys.executable, '-c', {child!r}, m])"
    ended = await place.run(ordered([sys.executable, "-c", program, MODEL, OUTPUT], gives=gives("m")))
    assert isinstance(ended.outcome, Failed), ended.output
    assert "was still written to" in ended.outcome.error.message


async def test_what_a_component_sets_reaches_its_program_and_never_its_launcher(place: Bench, tmp_path: Path) -> None:
    asked = {"PATH": str(tmp_path), "PYTHONHOME": "/nowhere", "MILLSTREAM_STEP_URL": "http://nobody", "MINE": "$(HOME)"}
    code = "import os; print(*(f'{name}={os.environ.get(name)}' for name in ('PATH', 'MILLSTREAM_STEP_URL', 'MINE')))"
    ended = await place.run(ordered(["/bin/sh", "-c", f'unset PYTHONHOME; {sys.executable} -c "{code}"'], **asked))
    assert isinstance(ended.outcome, Succeeded), ended.output
    assert f"PATH={tmp_path} MILLSTREAM_STEP_URL=http://nobody MINE=$(HOME)" in ended.output


@pytest.mark.parametrize("uri", ["s3://b/pipelines/a\0b", "\ud800", "x" * 3000])
async def test_the_door_refuses_names_that_no_bucket_takes(place: Bench, uri: str) -> None:
    order = place.desk.order = ordered(["true"])
    given = place.environment(order)
    body = json.dumps({"uris": [uri]})
    key = token_for(namespace_key(SECRET, order.namespace), order.uid, order.attempt)
    headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
    async with httpx.AsyncClient() as client:
        answer = await client.post(f"{given['MILLSTREAM_STEP_URL']}/uploads", content=body, headers=headers)
    assert answer.status_code in (400, 422), answer.text
