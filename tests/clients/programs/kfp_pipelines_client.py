"""The Kubeflow SDK's PipelinesClient: uploads, runs a function and a name, waits, lists what there is."""

import json
import os
import sys
import warnings

warnings.simplefilter("ignore")
from kfp import dsl  # noqa: E402
from kubeflow.pipelines import KubernetesBackendConfig, PipelinesClient  # noqa: E402

given = json.loads(sys.argv[1])
backend = KubernetesBackendConfig(base_url=os.environ["MILLSTREAM_URL"], user_token=os.environ["MILLSTREAM_TOKEN"])
client, told = PipelinesClient(backend), {}


@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def expect(value: int, wanted: int):
    if value != wanted:
        raise SystemExit(f"{value} is not {wanted}")


@dsl.pipeline(name="client-sum")
def pipeline(a: int = 1, wanted: int = 3):
    expect(value=add(a=a, b=2).output, wanted=wanted)


def said(call):
    try:
        call()
    except Exception as error:  # whatever the client makes of a refusal
        return str(error)
    return ""


def ended(run):
    return client.wait_for_run_status(run, status={"SUCCEEDED", "FAILED"}, timeout=100, polling_interval=1)


uploaded = client.upload_pipeline(pipeline, name="client-sum", description="By the other client")
client.upload_pipeline(pipeline, name="client-sum", version="better")
told["versions"] = sorted(each.display_name for each in client.list_pipeline_versions("client-sum").pipeline_versions)
client.create_experiment("client", description="Of the other client")
runs = [
    client.run("client-sum", params={"a": 2, "wanted": 4}, experiment="client", version="better", name="by-name"),
    client.run(pipeline, params={"a": 5, "wanted": 7}, experiment="client", name="by-function"),
    client.run(pipeline, params={"a": 5, "wanted": 8}, experiment="client", name="wrong"),
]
told["ended"] = [ended(run).state for run in runs]
told["listed"] = sorted(run.display_name for run in client.list_runs(experiment="client").runs)
told["well"] = sorted(run.display_name for run in client.list_runs(experiment="client", status="SUCCEEDED").runs)
told["pipelines"] = [
    each.display_name for each in client.list_pipelines().pipelines if each.display_name == "client-sum"
]
told["experiments"] = [
    each.display_name for each in client.list_experiments().experiments if each.display_name == "client"
]
kept = client.get_pipeline("client-sum")
version = client.get_pipeline_version("client-sum", "better")
told["of the pipeline"] = len(client.list_runs(pipeline="client-sum", experiment="client").runs or ())
heard = []
more = [client.run(each, params={"a": 2, "wanted": 4}, experiment="client") for each in (kept, version)]
last = client.wait_for_run_status(more[1], timeout=100, polling_interval=1, callbacks=[lambda run: heard.append(run)])
told["by objects"] = [ended(more[0]).state, last.state, bool(heard), client.get_run(more[1].run_id).state]
told["experiment"] = client.get_experiment("client").description
client.delete_pipeline("client-sum", version="better")
told["left"] = [each.display_name for each in client.list_pipeline_versions("client-sum").pipeline_versions]
told["unknown"] = said(lambda: client.get_pipeline("nobody"))
told["missing"] = said(lambda: client.run("client-sum", params={"wanted": "many"}, experiment="client"))
client.delete_pipeline("client-sum", force=True)
told["gone"] = said(lambda: client.get_pipeline("client-sum"))
client.delete_experiment("client")
print("RESULT " + json.dumps(told))
