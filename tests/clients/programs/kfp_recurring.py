"""Recurring runs with kfp.Client: by six-field cron and by interval, held, gone; and crons that are none."""

import json
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import kfp
import kfp_server_api
from kfp import compiler, dsl

client, told = kfp.Client(), {}


@dsl.component(base_image="python:3.11")
def say(text: str) -> str:
    return text


@dsl.pipeline(name="tick")
def pipeline(text: str = "tick"):
    say(text=text)


def refused(call):
    try:
        call()
    except kfp_server_api.ApiException as error:
        return json.loads(error.body)["message"]
    return ""


def runs_of(job):
    wanted = json.dumps({"predicates": [{"operation": 9, "key": "display_name", "stringValue": job}]})
    return client.list_runs(page_size=50, experiment_id=experiment.experiment_id, filter=wanted).runs or []


def until_runs(job, count):
    for _ in range(150):
        if len(runs_of(job)) >= count:
            return True
        time.sleep(0.2)
    return False


package = Path(tempfile.mkdtemp()) / "tick.yaml"
compiler.Compiler().compile(pipeline, str(package))
uploaded = client.upload_pipeline(str(package), "tick")
version = client.list_pipeline_versions(uploaded.pipeline_id).pipeline_versions[0].pipeline_version_id
experiment = client.create_experiment("clock")


def job(name, **more):
    return client.create_recurring_run(
        experiment.experiment_id,
        name,
        pipeline_id=uploaded.pipeline_id,
        version_id=version,
        params={"text": name},
        max_concurrency=1,
        **more,
    )


MISSED = ((False, 3), (True, 1))
now = datetime.now(UTC)
past = {each: (now - timedelta(seconds=ago)).isoformat() for each, ago in (("start_time", 35), ("end_time", 2))}
missed = [job(f"missed-{no}", interval_second=10, no_catchup=no, **past) for no in (False, True)]
cron = job("by-cron", cron_expression="* * * * * *", enable_caching=True)
interval = job("by-interval", interval_second=1)
found = client.list_recurring_runs(page_size=10).recurring_runs
told["jobs"] = sorted(each.display_name for each in found if each.display_name.startswith("by-"))
told["missed"] = [until_runs(f"missed-{no}", most) and len(runs_of(f"missed-{no}")) for no, most in MISSED]
told["ran"] = [until_runs("by-cron", 3), until_runs("by-interval", 2)]
client.disable_recurring_run(cron.recurring_run_id)
client.disable_recurring_run(interval.recurring_run_id)
held = client.get_recurring_run(cron.recurring_run_id)
told["held"] = [held.status, held.trigger.cron_schedule.cron, held.max_concurrency]
for _ in range(5):  # what was due before it was held may still come
    before = len(runs_of("by-cron"))
    time.sleep(2.5)  # two ticks, of which nothing may come
    told["still"] = len(runs_of("by-cron")) - before
    if not told["still"]:
        break
client.enable_recurring_run(cron.recurring_run_id)
told["goes on"] = until_runs("by-cron", before + 1)
client.delete_recurring_run(cron.recurring_run_id)
told["gone"] = refused(lambda: client.get_recurring_run(cron.recurring_run_id))
told["bad cron"] = refused(lambda: job("bad", cron_expression="61 * * * * *"))
told["five fields"] = refused(lambda: job("bad", cron_expression="not a cron"))
for each in (interval, *missed):
    client.delete_recurring_run(each.recurring_run_id)
for _ in range(300):
    states = {run.state for run in runs_of("by-")}
    if states <= {"SUCCEEDED", "FAILED", "CANCELED"}:
        break
    time.sleep(0.2)
told["states"] = sorted(states)
print("RESULT " + json.dumps(told))
