"""Results that no launcher of ours would send: each fails its own task with a sentence, and no other run is held up."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from services.pipelines.domain.steps.values import StepOrder, StepResult, StoredArtifact
from tests.services.pipelines.conductor.rig import added, chain, rig

HALF = "half \ud800 of a character"
DEEP: Any = [[]]
for _ in range(2000):
    DEEP = [DEEP]


def _pipeline(word: str) -> str:
    """One step with a parameter and an artifact; `word` is its name."""
    kind = {"schemaTitle": "system.Model", "schemaVersion": "0.0.1"}
    outputs = {"parameters": {"told": {"parameterType": "STRUCT"}}, "artifacts": {"model": {"artifactType": kind}}}
    spec = {
        "pipelineInfo": {"name": "strange"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": {"comp": {"executorLabel": "exec", "outputDefinitions": outputs}},
        "deploymentSpec": {"executors": {"exec": {"container": {"image": "python:3.11", "command": ["make"]}}}},
        "root": {"dag": {"tasks": {word: {"taskInfo": {"name": word}, "componentRef": {"name": "comp"}}}}},
    }
    return yaml.safe_dump(spec)


def _says(told: Any = None, error: str = "", **artifact: Any) -> Callable[[StepOrder], StepResult]:
    def result(order: StepOrder) -> StepResult:
        made = StoredArtifact("model", f"{order.root}/model", f"sha256:{'0' * 64}", 1, 1)
        values = {"told": {} if told is None else told}
        return StepResult(not error, error=error, values=values, artifacts={"model": (replace(made, **artifact),)})

    return result


STRANGE = {
    "name-empty": (_says(name=""), "its name has 0 characters"),
    "name-long": (_says(name="n" * 300), "its name has 300 characters"),
    "name-half": (_says(name=HALF), "half of a character"),
    "uri-empty": (_says(uri=""), "its uri has 0 characters"),
    "uri-nul": (_says(uri="s3://elsewhere/\0"), "NUL"),
    "size-huge": (_says(size=2**70), "is no number of bytes"),
    "size-below": (_says(size=-1), "is no number of bytes"),
    "digest": (_says(digest=HALF), "is no digest"),
    "metadata-half": (_says(metadata={"a": [HALF]}), "half of a character"),
    "metadata-deep": (_says(metadata={"a": DEEP}), "nested"),
    "metadata-huge": (_says(metadata={"a": "x" * 2_000_000}), "larger than"),
    "told-nan": (_says({"a": [math.nan]}), "no number that JSON can carry"),
    "told-deep": (_says({"a": DEEP}), "nested"),
    "told-digits": (_says({"a": 10**5000}), "cannot be written as JSON"),
    "error-half": (_says(error=HALF), "half ? of a character"),
    "error-nul": (_says(error="nothing \0 at all"), "nothing ? at all"),
}


async def test_what_cannot_be_stored_or_told_fails_its_task_and_no_other_run(tmp_path: Path):
    def play(order: StepOrder) -> StepResult:
        return STRANGE[order.name][0](order) if order.name in STRANGE else added(order)

    async with rig(tmp_path, play) as here, here.leading():
        runs = {name: await here.submit(_pipeline(name)) for name in STRANGE}
        assert (await here.over(await here.submit(chain(2)))).state == "SUCCEEDED"
        ended = {name: await here.over(run) for name, run in runs.items()}
        assert {run.state for run in ended.values()} == {"FAILED"}
        for name, (_, why) in STRANGE.items():
            assert why in ended[name].error, name


async def test_a_measure_that_is_no_number_is_kept_as_its_name(tmp_path: Path):
    metadata = {"loss": math.nan, "best": [-math.inf, 0.5]}
    async with rig(tmp_path, _says(metadata=metadata)) as here, here.leading():
        run = await here.over(await here.submit(_pipeline("measure")))
        assert run.state == "SUCCEEDED"
        made = (await here.tasks(run))["root/measure"].outputs.artifacts["model"][0]
        assert made.metadata == {"loss": "NaN", "best": ["-Infinity", 0.5]}
