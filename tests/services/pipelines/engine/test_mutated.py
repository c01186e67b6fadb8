"""A compiled pipeline with something broken in it is refused with a reason, or runs to an end; nothing else happens."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import yaml

from libs.base.errors import ApiError
from services.pipelines.adapters.compiling import compiled
from services.pipelines.domain.catalog import borders, documents
from services.pipelines.domain.catalog.lending import uses
from services.pipelines.domain.engine.records import TaskRecord
from services.pipelines.domain.engine.words import Failed, Succeeded
from services.pipelines.domain.ir.model import ImporterExecutor, Pipeline
from services.pipelines.domain.ir.problems import SpecError
from services.pipelines.domain.steps.order import order
from services.pipelines.domain.steps.pod import Site, pod
from tests.services.pipelines.engine.mutations import mutated
from tests.services.pipelines.engine.world import SOME, World, facts, failed, gave

GOLDEN = Path(__file__).parents[1] / "golden" / "kfp_2.17.0"
SITE = Site("http://pipelines:8080", "http://gateway:8080", b"zip")
TRIES = 250


class Mutated(World):
    """Steps are ordered and get their pods as real ones do."""

    def outcome(self, record: TaskRecord) -> Succeeded | Failed:
        if isinstance(self.pipeline.executor_of(record.component), ImporterExecutor):
            return gave(self.pipeline, record)
        try:
            pod(order(self.pipeline, record, self.run), SITE)
        except ValueError as error:
            return failed(str(error), final=True)
        return gave(self.pipeline, record)


def taken(sent: list[Any]) -> Pipeline:
    whole = sent[0] if len(sent) == 1 else {"pipeline_spec": sent[0], "platform_spec": sent[1]}
    pipeline, kept = compiled(documents.from_json(whole))
    assert compiled(documents.stored(kept.text()))[1].digest == kept.digest, "what is kept is another pipeline"
    return pipeline


def ends(pipeline: Pipeline) -> None:
    list(uses(pipeline, ""))
    given = {spec.name: SOME[spec.type] for spec in pipeline.root.inputs.parameters.values() if spec.type in SOME}
    run = facts(pipeline, **given)
    list(borders.import_problems(pipeline, run.parameters, "s3://bucket/pipelines", "team"))
    assert Mutated(pipeline, run).go(patience=5000).end


def test_a_broken_pipeline_is_refused_or_runs_to_its_end() -> None:
    files = sorted(GOLDEN.glob("*.yaml"))
    golden = [[each for each in yaml.load_all(file.read_text(), yaml.CSafeLoader) if each] for file in files]
    told = {"refused": 0, "ended": 0}
    for seed in range(TRIES):
        random = Random(seed)
        try:
            ends(taken(mutated(random.choice(golden), random)))
            told["ended"] += 1
        except (SpecError, ApiError) as error:
            assert str(error).strip()
            told["refused"] += 1
        except Exception as error:
            raise AssertionError(f"seed {seed}: {type(error).__name__}: {error}") from error
    assert told["refused"] > TRIES / 4 and told["ended"] > TRIES / 20, told
