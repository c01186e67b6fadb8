"""Every call of kfp.Client, and of the client that KFP generates from its API, which the other programs do not make."""

import json
import tempfile
import warnings
from pathlib import Path

warnings.simplefilter("ignore")
import kfp  # noqa: E402
import kfp_server_api as api  # noqa: E402
from kfp import compiler, dsl  # noqa: E402

client, told = kfp.Client(), {}
SOON = {"timeout": 100, "sleep_duration": 0.2}


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.pipeline(name="every", description="Says it")
def pipeline(text: str = "word"):
    say(text=text)


def refused(call):
    try:
        call()
    except (api.ApiException, ValueError) as error:
        return f"{getattr(error, 'status', '')} {getattr(error, 'body', '') or error}"
    return "taken"


def filtered(key, text, operation="EQUALS"):
    return json.dumps({"predicates": [{"operation": operation, "key": key, "stringValue": text}]})


package = Path(tempfile.mkdtemp()) / "every.yaml"
compiler.Compiler().compile(pipeline, str(package))

# Pipelines and versions by functions and by name.
kept = client.upload_pipeline_from_pipeline_func(pipeline, pipeline_name="every", description="d", namespace="default")
client.upload_pipeline_version(str(package), "by-file", pipeline_name="every", description="second")
third = client.upload_pipeline_version_from_pipeline_func(pipeline, "by-function", pipeline_name="every")
told["pipeline"] = [
    client.get_pipeline(kept.pipeline_id).description,
    client.get_pipeline_id("every") == kept.pipeline_id,
]
told["version"] = client.get_pipeline_version(kept.pipeline_id, third.pipeline_version_id).display_name
page = client.list_pipeline_versions(kept.pipeline_id, page_size=2, sort_by="name desc")
rest = client.list_pipeline_versions(
    kept.pipeline_id, page_token=page.next_page_token, page_size=2, sort_by="name desc"
)
told["versions"] = [each.display_name for each in page.pipeline_versions + rest.pipeline_versions]
told["listed"] = client.list_pipelines(namespace="default", filter=filtered("name", "every"), page_size=1).total_size

# Experiments.
made = client.create_experiment("every", description="All calls", namespace="default")
told["experiment"] = [
    client.create_experiment("every").experiment_id == made.experiment_id,
    client.get_experiment(experiment_name="every", namespace="default").description,
    client.list_experiments(
        namespace="default", filter=filtered("name", "every"), sort_by="created_at desc"
    ).total_size,
    refused(lambda: client.get_experiment(experiment_name="nobody")),
]

# Runs, with every argument.
root = "s3://millstream/pipelines/default/elsewhere"
own = {"enable_caching": True, "cache_key": "mine"}
where = {"experiment_name": "every", "namespace": "default"}
runs = [
    client.create_run_from_pipeline_func(pipeline, {"text": "a"}, run_name="first", **own, **where),
    client.create_run_from_pipeline_package(
        str(package), {"text": "a"}, enable_caching=False, pipeline_root=root, service_account="default",
        experiment_id=made.experiment_id,
    ),
]  # fmt: skip
ended = [client.wait_for_run_completion(run.run_id, **SOON) for run in runs]
runs.append(
    client.run_pipeline(
        made.experiment_id, "job", str(package), params={"text": "b"}, enable_caching=True, cache_key="mine"
    )
)
ended.append(client.wait_for_run_completion(runs[-1].run_id, **SOON))
told["states"] = [run.state for run in ended]
told["root"] = ended[1].runtime_config.pipeline_root.startswith(root)
told["account"] = ended[1].service_account
told["ran"] = [any(task.pod_name for task in run.run_details.task_details) for run in ended]
told["of the experiment"] = client.list_runs(experiment_id=made.experiment_id, sort_by="name", page_size=50).total_size
told["no root"] = refused(lambda: client.run_pipeline(made.experiment_id, "no", str(package), pipeline_root="gs://b/x"))
told["no version"] = refused(
    lambda: client.run_pipeline(made.experiment_id, "no", pipeline_id=kept.pipeline_id, version_id="nobody")
)

# Lists: every operation, on texts and on times; pages in every order.
first, middle, last = sorted(
    client.list_runs(experiment_id=made.experiment_id, page_size=50).runs, key=lambda run: run.created_at
)
moment = middle.created_at.isoformat().replace("+00:00", "Z")


def count(**predicate):
    wanted = json.dumps({"predicates": [predicate]})
    return client.list_runs(experiment_id=made.experiment_id, page_size=50, filter=wanted).total_size


times = ["EQUALS", "NOT_EQUALS", "GREATER_THAN", "GREATER_THAN_EQUALS", "LESS_THAN", "LESS_THAN_EQUALS"]
told["by time"] = [count(key="created_at", operation=each, timestampValue=moment) for each in times]
told["by number"] = [count(key="created_at", operation=each, timestampValue=moment) for each in (1, 2, 3, 5, 6, 7)]
told["by text"] = [
    count(key="name", operation=1, stringValue="job"),
    count(key="display_name", operation="NOT_EQUALS", stringValue="job"),
    count(key="name", operation="IN", stringValues={"values": ["job", "first"]}),
    count(key="name", operation="IS_SUBSTRING", stringValue="OB"),
    count(key="name", operation=9, stringValue="%"),
]
told["pages"] = []
for order in ("created_at", "created_at desc", "name", "name desc", "state", "id desc", "finished_at", "storage_state"):
    seen, more = [], {"experiment_id": made.experiment_id, "sort_by": order, "page_size": 1}
    page = client.list_runs(**more)
    while page.runs:
        seen += [run.run_id for run in page.runs]
        page = client.list_runs(page_token=page.next_page_token, **more) if page.next_page_token else page
        if not page.next_page_token:
            seen += [run.run_id for run in page.runs if run.run_id not in seen]
            break
    told["pages"].append(len(seen) == len(set(seen)) == 3)

# Recurring runs, with every argument, and by the names of old.
job = client.create_recurring_run(
    made.experiment_id, "later", description="d", start_time="2127-01-01T00:00:00Z", end_time="2128-01-01T00:00:00Z",
    cron_expression="0 30 9 * * MON-FRI", max_concurrency=3, no_catchup=True, params={"text": "c"},
    pipeline_package_path=str(package), enabled=False, pipeline_root=root, enable_caching=True, cache_key="k",
    service_account="default",
)  # fmt: skip
states = [client.get_recurring_run(job.recurring_run_id).status]
client.enable_job(job.recurring_run_id)
states.append(client.get_recurring_run(job.recurring_run_id, job_id=job.recurring_run_id).status)
client.disable_job(job.recurring_run_id)
found = client.list_recurring_runs(namespace="default", filter=filtered("name", "later")).recurring_runs
told["job"] = [*states, found[0].status, found[0].no_catchup, found[0].max_concurrency, found[0].service_account]
client.delete_job(job.recurring_run_id)
told["no job"] = refused(lambda: client.get_recurring_run(job.recurring_run_id))

# A context of one's own.
client.set_user_namespace("default")
told["context"] = [client.get_user_namespace(), client.list_runs(page_size=1).total_size > 0]
client.set_user_namespace("")

# What only the generated client calls.
calls = client._pipelines_api.api_client
pipelines, checks = api.PipelineServiceApi(calls), api.AuthServiceApi(calls)
spec = third.pipeline_spec
both = api.V2beta1CreatePipelineAndVersionRequest(
    pipeline=api.V2beta1Pipeline(display_name="both"),
    pipeline_version=api.V2beta1PipelineVersion(display_name="one", pipeline_spec=spec),
)
other = pipelines.pipeline_service_create_pipeline_and_version(both)
pipelines.pipeline_service_update_pipeline(
    other.pipeline_id, api.V2beta1Pipeline(display_name="shown", tags={"a": "b"})
)
again = pipelines.pipeline_service_get_pipeline_by_name("both")
told["changed"] = [again.display_name, again.tags, again.name]
only = client.list_pipeline_versions(other.pipeline_id).pipeline_versions[0]
change = api.V2beta1PipelineVersion(description="better")
ids = (other.pipeline_id, only.pipeline_version_id)
told["changed version"] = pipelines.pipeline_service_update_pipeline_version(*ids, change).description
newest = api.V2beta1PipelineVersionReference(pipeline_id=other.pipeline_id)
asked = api.V2beta1Run(display_name="newest", pipeline_version_reference=newest)
asked.plugins_input = {"mlflow": {"disabled": True}}
run = client._run_api.run_service_create_run(asked)
told["plugins"] = client.get_run(run.run_id).plugins_input
told["newest"] = client.wait_for_run_completion(run.run_id, **SOON).state
pipelines.pipeline_service_delete_pipeline(other.pipeline_id, cascade=True)
told["health"] = client.get_kfp_healthz().multi_user
told["auth"] = checks.auth_service_authorize(namespace="default", resources="VIEWERS", verb="GET")
views = api.VisualizationServiceApi(calls)
told["not here"] = refused(lambda: views.visualization_service_create_visualization_v1("default", {}))
told["no report"] = refused(lambda: api.ReportServiceApi(calls).report_service_report_workflow("{}"))

client.archive_experiment(made.experiment_id)
client.unarchive_experiment(made.experiment_id)
told["again"] = client.get_experiment(made.experiment_id).storage_state
client.delete_experiment(made.experiment_id)
told["gone"] = refused(lambda: client.get_experiment(made.experiment_id))
print("RESULT " + json.dumps(told))
