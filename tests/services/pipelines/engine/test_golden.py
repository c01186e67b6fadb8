"""What every release of kfp compiles is read and runs to its end."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.pipelines.adapters.spec import canonical
from services.pipelines.domain.engine.records import State, TaskRecord
from services.pipelines.domain.engine.words import Succeeded
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.ir.reading import read
from tests.services.pipelines.engine.world import SOME, World, facts, gave

GOLDEN = Path(__file__).parents[1] / "golden"
RELEASES = sorted(path.name for path in GOLDEN.glob("kfp_*"))
MISCOMPILED = "miscompiled.yaml"
"""kfp mixes up two conditions of one name, the pipeline's and its sub-pipeline's: one is left without tasks."""


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_compiles_runs(release: str) -> None:
    for file in sorted((GOLDEN / release).glob("*.yaml")):
        spec, *more = yaml.load_all(file.read_text(), Loader=yaml.CSafeLoader)
        try:
            pipeline = read(*canonical({"pipeline_spec": spec, "platform_spec": more[0] if more else {}}))
        except SpecError as refused:
            assert file.name == MISCOMPILED and "a component needs an executorLabel or a dag" in str(refused)
            continue
        inputs = pipeline.root.inputs.parameters.values()
        given: dict[str, Any] = {spec.name: SOME[spec.type] for spec in inputs if not spec.optional}
        steps = {"objects": partial(_objects, pipeline)}
        world = World(pipeline, facts(pipeline, **given), steps).go()
        assert world.end and world.end.state is State.SUCCEEDED, (file, world.end)


def _objects(pipeline: Pipeline, record: TaskRecord) -> Succeeded:
    return gave(pipeline, record, Output=[{"a": 1, "b": 2}, {"a": 3, "b": 4}])
