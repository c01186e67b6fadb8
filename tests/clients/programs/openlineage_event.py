"""The event that openlineage-python itself would post for what it is told; run in the clients' environment."""

import json
import sys

from openlineage.client.event_v2 import Job, OutputDataset, Run, RunEvent, RunState
from openlineage.client.facet_v2 import (
    dataset_type_dataset,
    dataset_version_dataset,
    error_message_run,
    job_type_job,
    parent_run,
)
from openlineage.client.serde import Serde

given = json.loads(sys.argv[1])
parent = parent_run.ParentRunFacet(
    run=parent_run.Run(runId=given["parent"]), job=parent_run.Job(namespace=given["namespace"], name=given["pipeline"])
)
error = error_message_run.ErrorMessageRunFacet(message=given["message"], programmingLanguage="PYTHON")
kind = job_type_job.JobTypeJobFacet(processingType="BATCH", integration="MILLSTREAM", jobType="TASK")
made = OutputDataset(
    namespace="s3://bucket",
    name="runs/model",
    facets={
        "type": dataset_type_dataset.DatasetTypeDatasetFacet(datasetType="system.Model"),
        "version": dataset_version_dataset.DatasetVersionDatasetFacet(datasetVersion="sha256:9f"),
    },
)
event = RunEvent(
    eventType=RunState.COMPLETE,
    eventTime=given["at"],
    producer=given["producer"],
    run=Run(runId=given["run"], facets={"parent": parent, "errorMessage": error}),
    job=Job(namespace=given["namespace"], name=given["job"], facets={"jobType": kind}),
    inputs=[],
    outputs=[made],
)
print("RESULT " + json.dumps(Serde.to_dict(event)))
