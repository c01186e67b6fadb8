"""Compiled pipelines of several releases, all at once, through kfp.Client: how each run and each of its tasks ended."""

import json
import sys
import time

import kfp

given = json.loads(sys.argv[1])
client = kfp.Client()
runs = {}
for file, arguments in given["files"].items():
    run = client.create_run_from_pipeline_package(file, arguments, experiment_name="golden")
    runs[file] = run.run_id
told = {}
deadline = time.monotonic() + given["within_s"]
while set(runs) - set(told) and time.monotonic() < deadline:
    for file in set(runs) - set(told):
        run = client.get_run(runs[file])
        if run.state in ("SUCCEEDED", "FAILED", "CANCELED"):
            told[file] = run
    time.sleep(0.5)


def tasks(run):
    found = {}
    for task in run.run_details.task_details:
        if task.parent_task_id:
            found.setdefault(task.display_name, []).append(task.state)
    return {name: sorted(states) for name, states in found.items()}


def errors(run):
    return [task.error.message for task in run.run_details.task_details if task.error]


print("RESULT " + json.dumps({
    file: {"state": run.state, "tasks": tasks(run), "errors": errors(run)} for file, run in told.items()
}))  # fmt: skip
