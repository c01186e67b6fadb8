"""A day with kfp.Client: a pipeline is uploaded, gets versions, runs, is found, fails, is retried, removed."""

import json
import sys
import tempfile
import time
from pathlib import Path

import kfp
import kfp_server_api
from kfp import compiler, dsl

given = json.loads(sys.argv[1])
client, told = kfp.Client(), {}


@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def expect(value: int, wanted: int):
    if value != wanted or type(value) is not int:
        raise SystemExit(f"{value!r} is not {wanted!r}")


@dsl.component(base_image="python:3.11")
def wait_for(file: str, text: str) -> str:
    import time
    from pathlib import Path

    for _ in range(600):
        if Path(file).exists():
            return text
        time.sleep(0.1)
    raise SystemExit("nothing came")


@dsl.component(base_image="python:3.11")
def need(file: str):
    open(file).close()  # noqa: PTH123


@dsl.pipeline(name="sum", description="Adds and looks")
def pipeline(a: int = 1, b: int = 2, wanted: int = 6):
    first = add(a=a, b=b)
    second = add(a=first.output, b=3)
    expect(value=second.output, wanted=wanted)


@dsl.pipeline(name="waits")
def waits(file: str):
    add(a=1, b=1).after(wait_for(file=file, text="came"))


@dsl.pipeline(name="needs")
def needs(file: str):
    need(file=file).after(add(a=2, b=3))


def refused(call):
    try:
        call()
    except (kfp_server_api.ApiException, ValueError, RuntimeError) as error:
        return str(getattr(error, "body", None) or error)
    return ""


def until(run_id, *states):
    for _ in range(600):
        run = client.get_run(run_id)
        if run.state in states:
            return run
        time.sleep(0.1)
    raise SystemExit(f"{run_id} is {run.state}: {run.error}")


def filtered(key, text, operation=1):
    return json.dumps({"predicates": [{"operation": operation, "key": key, "stringValue": text}]})


folder = Path(tempfile.mkdtemp(dir=given["folder"]))  # steps have a /tmp of their own
package = folder / "sum.yaml"
compiler.Compiler().compile(pipeline, str(package))

# Upload, and a second version; the names are found again; a name is there once.
uploaded = client.upload_pipeline(str(package), "sum", description="Adds and looks")
told["pipeline"] = client.get_pipeline_id("sum") == uploaded.pipeline_id
told["twice"] = refused(lambda: client.upload_pipeline(str(package), "sum"))
version = client.upload_pipeline_version_from_pipeline_func(pipeline, "second", pipeline_id=uploaded.pipeline_id)
versions = client.list_pipeline_versions(uploaded.pipeline_id, sort_by="created_at desc")
told["versions"] = [each.display_name for each in versions.pipeline_versions]
told["spec"] = version.pipeline_spec["pipelineInfo"]["name"]
told["pipelines"] = [
    each.display_name for each in client.list_pipelines(filter=filtered("display_name", "su", 9)).pipelines
]

# Runs: by reference, with arguments; waited for as users do; listed by page, filtered, sorted.
experiment = client.create_experiment("day", description="A day")
ids = {"experiment_id": experiment.experiment_id, "pipeline_id": uploaded.pipeline_id}
runs = [
    client.run_pipeline(
        job_name=f"run-{number}", params={"a": number, "wanted": number + 5},
        version_id=version.pipeline_version_id, **ids,
    )
    for number in range(3)
]  # fmt: skip
ended = [client.wait_for_run_completion(run.run_id, timeout=120, sleep_duration=0.2) for run in runs]
told["ended"] = [run.state for run in ended]
told["tasks"] = sorted(task.display_name for task in ended[0].run_details.task_details if task.parent_task_id)
told["parameters"] = ended[2].runtime_config.parameters
page = client.list_runs(page_size=2, sort_by="created_at desc", experiment_id=experiment.experiment_id)
rest = client.list_runs(
    page_token=page.next_page_token, page_size=2, sort_by="created_at desc", experiment_id=experiment.experiment_id
)
told["pages"] = [[run.display_name for run in each.runs] for each in (page, rest)]
told["last page"] = rest.next_page_token or ""
found = client.list_runs(experiment_id=experiment.experiment_id, filter=filtered("display_name", "run-1"))
told["found"] = [run.display_name for run in found.runs]

# The same again is taken from the cache; a changed argument is not.
begun = time.monotonic()
again = client.run_pipeline(
    job_name="again", params={"a": 2, "wanted": 7}, version_id=version.pipeline_version_id, enable_caching=True, **ids
)
again = client.wait_for_run_completion(again.run_id, timeout=120, sleep_duration=0.2)
told["cached_s"] = time.monotonic() - begun
told["cached"] = {task.display_name: task.state for task in again.run_details.task_details if task.parent_task_id}

# Ended by the user: its pod goes, what comes after does not run.
file = folder / "never"
run = client.create_run_from_pipeline_func(waits, {"file": str(file)}, run_name="waits", experiment_name="day")
for _ in range(300):
    states = {task.display_name: task.state for task in client.get_run(run.run_id).run_details.task_details}
    if states.get("wait-for") == "RUNNING":
        break
    time.sleep(0.1)
client.terminate_run(run.run_id)
ended = until(run.run_id, "CANCELED", "FAILED")
told["terminated"] = ended.state
told["terminated tasks"] = {task.display_name: task.state for task in ended.run_details.task_details}
told["terminated twice"] = refused(lambda: client.terminate_run(run.run_id))

# Fails, its cause is mended, is retried from where it failed.
file = folder / "needed"
run = client.create_run_from_pipeline_func(needs, {"file": str(file)}, run_name="needs", enable_caching=False)
failed = client.wait_for_run_completion(run.run_id, timeout=120, sleep_duration=0.2)
told["failed"] = [failed.state, failed.error.message]
before = {task.display_name: task.end_time for task in failed.run_details.task_details}
file.touch()
client._run_api.run_service_retry_run(run.run_id)
again = until(run.run_id, "SUCCEEDED")
after = {task.display_name: task.end_time for task in again.run_details.task_details}
told["retried"] = [again.state, after["add"] == before["add"], after["need"] == before["need"]]
told["retried twice"] = refused(lambda: client._run_api.run_service_retry_run(run.run_id))

# Put away and got back, and gone.
client.archive_run(run.run_id)
told["archived"] = client.get_run(run.run_id).storage_state
client.unarchive_run(run.run_id)
told["unarchived"] = client.get_run(run.run_id).storage_state
client.delete_run(run.run_id)
told["gone"] = refused(lambda: client.get_run(run.run_id))
client.archive_experiment(experiment.experiment_id)
told["experiment"] = client.get_experiment(experiment.experiment_id).storage_state
client.delete_pipeline_version(uploaded.pipeline_id, version.pipeline_version_id)
told["pipeline with versions"] = refused(lambda: client.delete_pipeline(uploaded.pipeline_id))
for each in client.list_pipeline_versions(uploaded.pipeline_id).pipeline_versions or ():
    client.delete_pipeline_version(uploaded.pipeline_id, each.pipeline_version_id)
client.delete_pipeline(uploaded.pipeline_id)
told["no pipeline"] = client.get_pipeline_id("sum")
print("RESULT " + json.dumps(told))
