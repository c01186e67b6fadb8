"""`millstream demo`: the main job from data to predictions, each step shown as it happens."""

from __future__ import annotations

import shutil
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from millstream import platform as laptop
from millstream.cli.options import folder
from millstream.cli.show import GOOD, out
from millstream.client import Client, conditions_of
from millstream.demo import data, predict, timeline
from millstream.demo.job import MODEL, train_job
from millstream.errors import ClientError
from millstream.home import Home
from millstream.story import Story

GOAL = 0.95
NAMESPACE = "default"


def run_demo(home: Path | None, keep: bool) -> None:
    """Everything `make demo` shows. Raises ClientError when a step fails or the accuracy is below GOAL."""
    place = folder(home)
    began = time.monotonic()
    _step(1, "starting the platform")
    laptop.start(place, place.ports())
    laptop.wait_ready(place, 180, progress=lambda line: out.print(f"    {line}"))
    laptop.write_doors(place)
    env = place.read_env()
    _step(2, "writing the digits (1,797 scans, one fifth kept for the test) to S3 as Parquet")
    data.upload(*_s3(env))
    out.print(f"    {data.TRAIN}\n    {data.TEST}")
    name = f"{MODEL}-{int(time.time()):x}"
    since = datetime.now(UTC) - timedelta(seconds=1)
    with Client.from_home(place.path) as client, Story(env["NATS_URL"], since) as story:
        job = _train(client, name)
        version, service = _rollout(client, story, job)
        answers = _predict(client, service["data"]["url"], env)
        told = timeline.of_run(story.letters, job["metadata"]["uid"], service.get("correlationid", ""))
        out.print()
        out.print(timeline.draw(told, f"What happened to {NAMESPACE}/{name}, from its events"))
        if not keep:
            _clean(client, name)
    _end(place, name, version, answers, time.monotonic() - began)


def _step(number: int, text: str) -> None:
    out.print(f"[bold][{number}/6][/bold] {text}")


def _s3(env: dict[str, str]) -> tuple[str, str, str]:
    return env["AWS_ENDPOINT_URL"], env["AWS_ACCESS_KEY_ID"], env["AWS_SECRET_ACCESS_KEY"]


def _train(client: Client, name: str) -> dict[str, Any]:
    _step(3, f"training on two nodes: TrainJob {NAMESPACE}/{name}")
    client.apply(train_job(name), NAMESPACE)
    columns = (TextColumn("    {task.description:<34}"), BarColumn(), TextColumn("{task.percentage:>3.0f} %"))
    with Progress(*columns, TimeElapsedColumn(), console=out) as progress:
        bar = progress.add_task("waiting for admission", total=100)
        end = time.monotonic() + 300
        while time.monotonic() < end:
            for event in client.watch("trainjobs", NAMESPACE, name, timeout_s=20):
                job = event["object"]
                if _show_job(progress, bar, job):
                    return dict(job)
    raise ClientError(f"trainjob/{name} did not end within 300 s; see `millstream describe trainjob {name}`")


def _show_job(progress: Progress, bar: Any, job: dict[str, Any]) -> bool:
    """Whether the job is complete. Raises ClientError when it failed."""
    status = job.get("status") or {}
    held = {kind for kind, condition in conditions_of(job).items() if condition["status"] == "True"}
    if "Failed" in held:
        raise ClientError(f"the job failed: {conditions_of(job)['Failed'].get('message')}")
    told = status.get("trainerStatus") or {}
    metrics = "  ".join(f"{m['name']}={float(m['value']):.4g}" for m in told.get("metrics") or [])
    active = sum(j["active"] for j in status.get("jobsStatus") or [])
    words = "done" if "Complete" in held else metrics or (f"{active} active" if active else "waiting for admission")
    progress.update(bar, description=words, completed=100 if held else told.get("progressPercentage") or 0)
    return "Complete" in held


def _rollout(client: Client, story: Story, job: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    uid = job["metadata"]["uid"]
    _step(4, "the registry records the model")
    kind = "registry.modelversion.created.v1"
    version = story.wait(lambda x: x["type"] == kind and x["data"].get("job_uid") == uid, 60, "registration")["data"]
    path = f"/api/model_registry/v1/model_versions/{version['version_id']}"
    stored = client.request("GET", path).json()
    out.print(f"    {version['model']} version {stored['name']}: {version['uri']}")
    _step(5, "serving rolls it out")
    uris = {version["uri"], f"model-registry://{version['model']}/{version['version']}"}
    ready = story.wait(lambda x: _is_rollout(x, uris), 120, "rollout")
    client.wait("inferenceservices", MODEL, "Ready", NAMESPACE, 60)
    out.print(f"    {ready['data']['url']}")
    return stored["name"], ready


def _is_rollout(letter: dict[str, Any], uris: set[str]) -> bool:
    return letter["type"] == "serving.inferenceservice.ready.v1" and letter["data"]["model_uri"] in uris


def _predict(client: Client, url: str, env: dict[str, str]) -> predict.Answers:
    _step(6, "predicting the test split through the gateway")
    test = data.download(*_s3(env), data.TEST)
    answers = predict.predict_all(client, url, MODEL, test)
    _picture(test, answers)
    slowest = max(answers.latencies_s) * 1e3
    out.print(f"    {len(test.labels)} scans in {len(answers.latencies_s)} requests, slowest {slowest:.1f} ms")
    colour = GOOD if answers.accuracy >= GOAL else "red"
    out.print(f"    accuracy [bold {colour}]{answers.accuracy:.4f}[/]")
    if answers.accuracy < GOAL:
        raise ClientError(f"accuracy {answers.accuracy:.4f} is below {GOAL}")
    return answers


def _picture(test: data.Split, answers: predict.Answers, count: int = 6) -> None:
    """The first scans as people see them, each with the answer below."""
    shades = " .:-=+*#%@"

    def line(scan: Any, y: int) -> str:
        return "".join(shades[min(9, int(grey * 10 // 17))] * 2 for grey in scan[8 * y : 8 * y + 8])

    rows = ["   ".join(line(scan, y) for scan in test.pixels[:count]) for y in range(8)]
    below = "   ".join(f"{'-> ' + str(answer):^16}" for answer in answers.predicted[:count])
    out.print("\n".join("    " + row for row in [*rows, below]), markup=False)


def _clean(client: Client, name: str) -> None:
    client.delete("trainjobs", name, NAMESPACE)
    client.delete("inferenceservices", MODEL, NAMESPACE)


def _end(place: Home, name: str, version: str, answers: predict.Answers, took_s: float) -> None:
    out.print(f"\n[bold {GOOD}]The main job ran end to end[/] in {took_s:.1f} s: model {MODEL} version {version}, "
              f"accuracy {answers.accuracy:.4f}.")  # fmt: skip
    if shutil.which("millstream") is None:
        out.print(f'Look around: export PATH="$PATH:{Path(sys.executable).parent}"')
    out.print(f"Look around: export KUBECONFIG={place.kubeconfig}; kubectl get trainjobs,inferenceservices,pods")
    out.print(f"             {place.command(f'logs {name}')}; {place.command('events tail --since 10m')}")
    out.print(f"Stop it:     {place.command('down')}")
