"""What a user of the Kubeflow SDK does around the README's snippet, which trains a function on two nodes."""

import contextlib
import importlib.util
import io
import json
import sys
import time

given = json.loads(sys.argv[1])
spec = importlib.util.spec_from_file_location("snippet", given["snippet"])
snippet = importlib.util.module_from_spec(spec)
with contextlib.redirect_stdout(io.StringIO()) as printed:
    spec.loader.exec_module(snippet)
client, name = snippet.client, snippet.name


def wait_until_gone(name):
    """The platform ends a job's pods before the job itself goes, so a moment may pass."""
    for _ in range(60):
        try:
            client.get_job(name)
        except RuntimeError as error:
            return error.__cause__.status == 404
        time.sleep(0.5)
    return False


runtimes = [runtime.name for runtime in client.list_runtimes()]
job = client.wait_for_job_status(name, timeout=180, polling_interval=1)
logs = {step.name: list(client.get_job_logs(name, step=step.name)) for step in job.steps}
listed = [one.name for one in client.list_jobs()]
events = [event.reason for event in client.get_job_events(name)] if hasattr(client, "get_job_events") else None
client.delete_job(name)
gone = wait_until_gone(name)
result = {
    "runtimes": runtimes,
    "status": job.status,
    "nodes": job.num_nodes,
    "followed": printed.getvalue().splitlines(),
    "logs": logs,
    "listed": name in listed,
    "events": events,
    "gone": gone,
}
print("RESULT " + json.dumps(result), file=sys.stdout)
