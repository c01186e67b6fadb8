"""What watches a platform is true: names that exist, rules that fire when they should, boards that can be drawn."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import promql_parser
import pytest
import yaml
from millstream.dev.monitoring.__main__ import COMPONENT
from millstream.dev.monitoring.boards import BOARDS
from millstream.dev.monitoring.catalogue import names
from millstream.laptop import manifests

from tests.deploy import podsecurity, schemas
from tests.deploy.alerts import CASES, Case
from tests.deploy.builds import Object, build
from tests.deploy.prometheus import promtool

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / COMPONENT
# What others expose: kube-state-metrics, the Prometheus client for every process, and Prometheus of its targets.
FOREIGN = {
    "kube_cronjob_status_last_successful_time",
    "kube_deployment_status_replicas_unavailable",
    "kube_statefulset_status_replicas",
    "kube_statefulset_status_replicas_ready",
    "process_cpu_seconds_total",
    "process_resident_memory_bytes",
    "up",
}
SEVERITIES = {"critical", "warning", "info"}


@cache
def rules() -> list[dict[str, Any]]:
    groups = yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]["groups"]
    return [rule for group in groups for rule in group["rules"]]


def alerts() -> list[dict[str, Any]]:
    return [rule for rule in rules() if "alert" in rule]


def panels() -> Iterator[tuple[str, dict[str, Any]]]:
    for name in BOARDS:
        for panel in json.loads((FOLDER / f"{name}.json").read_text())["panels"]:
            if panel["type"] != "row":
                yield f"{name}: {panel['title']}", panel


def expressions() -> dict[str, str]:
    """Every PromQL expression by where it stands, Grafana's own words replaced by what they stand for."""
    found = {rule.get("alert") or rule["record"]: rule["expr"] for rule in rules()}
    for place, panel in panels():
        for target in panel["targets"]:
            expr = target["expr"].replace("$__rate_interval", "1m")
            found[f"{place} {target['refId']}"] = re.sub(r"\$\w+", ".*", expr)
    return found


def metrics_in(expr: str) -> set[str]:
    found: set[str] = set()

    def note(node: object) -> bool:
        if isinstance(node, promql_parser.VectorSelector):
            assert node.name, f"a selector without a metric: {expr}"
            found.add(node.name)
        return True

    promql_parser.walk(promql_parser.parse(expr), note)
    return found


def is_exposed(metric: str) -> bool:
    known = names()
    base = re.sub(r"_(bucket|count|sum)$", "", metric)
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    histogram = base != metric and base in known and known[base].kind == "Histogram"
    return histogram or metric in known or metric in FOREIGN or metric in recorded


@pytest.mark.parametrize("place", sorted(expressions()))
def test_every_expression_parses_and_asks_for_metrics_that_are_exposed(place: str) -> None:
    asked = metrics_in(expressions()[place])
    assert asked, f"{place} asks for nothing"
    unknown = sorted(metric for metric in asked if not is_exposed(metric))
    assert not unknown, f"{place} asks for {unknown}, which nothing exposes (docs/metrics.md says what there is)"


def test_a_name_that_nothing_exposes_is_found_out() -> None:
    assert not is_exposed("millstream_bus_lag_seconds")
    assert not is_exposed("millstream_bus_connected_bucket"), "only histograms have buckets"
    assert is_exposed("millstream_http_request_seconds_bucket")


@pytest.mark.parametrize("rule", alerts(), ids=lambda rule: rule["alert"])
def test_every_alert_says_how_bad_it_is_and_where_its_runbook_stands(rule: dict[str, Any]) -> None:
    assert rule["labels"]["severity"] in SEVERITIES
    told = rule["annotations"]
    assert told["summary"] and told["description"].endswith(".")
    page, _, anchor = told["runbook_url"].partition("#")
    assert anchor == rule["alert"].lower()
    headings = re.findall(r"^#+ (.+)$", (ROOT / page).read_text(), re.MULTILINE)
    assert rule["alert"] in headings, f"{page} has no section {rule['alert']}"


def test_no_runbook_tells_of_an_alert_that_is_not_there() -> None:
    told = re.findall(r"^#+ (Millstream[A-Z]\w+)$", (ROOT / "docs" / "operations.md").read_text(), re.MULTILINE)
    assert sorted(told) == sorted(rule["alert"] for rule in alerts())


def test_every_alert_has_a_case_in_which_it_fires_and_one_in_which_it_does_not() -> None:
    assert sorted(CASES) == sorted(rule["alert"] for rule in alerts())


@pytest.fixture(scope="module")
def tool() -> Path:
    found = promtool()
    if found is None:
        pytest.skip("no promtool: neither installed nor to be had from Debian's archive (apt-get download prometheus)")
    return found


@pytest.fixture(scope="module")
def rule_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("rules") / "rules.yml"
    path.write_text(yaml.safe_dump(yaml.safe_load((FOLDER / "rules.yaml").read_text())["spec"]))
    return path


def test_prometheus_takes_the_rules(tool: Path, rule_file: Path) -> None:
    done = subprocess.run([tool, "check", "rules", rule_file], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_fires_when_it_should_and_only_then(tool: Path, rule_file: Path) -> None:
    # Alerts that take days are evaluated less often: the time of a test is that of its evaluations.
    for step, chosen in (("1m", lambda case: case.after <= 300), ("20m", lambda case: case.after > 300)):
        told = [(name, case) for name, case in CASES.items() if chosen(case)]
        tests = [story(name, case, fires) for name, case in told for fires in (True, False)]
        path = rule_file.parent / f"tests-{step}.yml"
        path.write_text(yaml.safe_dump({"rule_files": [rule_file.name], "evaluation_interval": step, "tests": tests}))
        done = subprocess.run([tool, "test", "rules", path], capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stdout + done.stderr


def test_a_wrong_expectation_of_an_alert_is_found_out(tool: Path, rule_file: Path) -> None:
    """The stories above can fail: the same figures with the opposite expectation do."""
    name, case = "MillstreamStoreUnavailable", CASES["MillstreamStoreUnavailable"]
    path = rule_file.parent / "wrong.yml"
    wrong = story(name, Case(fires=case.silent, silent=case.fires, after=case.after), True)
    path.write_text(yaml.safe_dump({"rule_files": [rule_file.name], "evaluation_interval": "1m", "tests": [wrong]}))
    assert subprocess.run([tool, "test", "rules", path], capture_output=True, timeout=60).returncode != 0


def story(name: str, case: Case, fires: bool) -> dict[str, Any]:
    series = case.fires if fires else case.silent
    ask = f'count(ALERTS{{alertname="{name}",alertstate="firing"}} > 0) > bool 0 or vector(0)'
    return {
        "name": f"{name} {'fires' if fires else 'is silent'}",
        "interval": "1m",
        "input_series": [{"series": one, "values": values} for one, values in series.items()],
        "promql_expr_test": [
            {"expr": ask, "eval_time": f"{case.after}m", "exp_samples": [{"labels": "{}", "value": float(fires)}]}
        ],
    }


@pytest.mark.parametrize("name", BOARDS)
def test_a_board_can_be_drawn(name: str) -> None:
    board = json.loads((FOLDER / f"{name}.json").read_text())
    assert {"uid", "title", "schemaVersion", "panels", "templating", "time"} <= set(board)
    ids = [panel["id"] for panel in board["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in board["panels"]:
        at = panel["gridPos"]
        cells = {(at["x"] + x, at["y"] + y) for x in range(at["w"]) for y in range(at["h"])}
        assert max(x for x, _ in cells) < 24, f"{panel['title']} sticks out"
        assert not cells & taken, f"{panel['title']} lies on another panel"
        taken |= cells
    known = {variable["name"] for variable in board["templating"]["list"]} | {"__rate_interval"}
    used = set(re.findall(r"\$\{?(\w+)", json.dumps(board["panels"])))
    assert used <= known, f"variables that nobody sets: {used - known}"


def test_the_component_brings_monitors_rules_and_boards(built: dict[str, list[Object]]) -> None:
    objects = next(found for name, found in built.items() if name.endswith("components/monitoring"))
    kinds = sorted(obj["kind"] for obj in objects if obj["kind"] != "Namespace")
    assert {"ServiceMonitor", "PodMonitor", "PrometheusRule", "ConfigMap"} <= set(kinds)
    boards = next(obj for obj in objects if obj["metadata"]["name"] == "millstream-dashboards")
    assert boards["metadata"]["labels"]["grafana_dashboard"] == "1"
    assert set(boards["data"]) == {f"{name}.json" for name in BOARDS}


def test_every_service_of_an_overlay_is_scraped_and_no_engine(production: list[Object]) -> None:
    monitor = yaml.safe_load((FOLDER / "services.yaml").read_text())["spec"]
    port, selector = monitor["endpoints"][0]["port"], monitor["selector"]
    unwanted = selector["matchExpressions"][0]["values"]
    scraped = set()
    for obj in (o for o in production if o["kind"] == "Service"):
        labels = obj["metadata"].get("labels", {})
        chosen = selector["matchLabels"].items() <= labels.items() and labels["app.kubernetes.io/name"] not in unwanted
        if chosen and any(each.get("name") == port for each in obj["spec"]["ports"]):
            scraped.add(obj["metadata"]["name"])
    assert scraped == {"gateway", "pipelines", "registry", "scheduler", "serving", "trainer", "tuner"}


def test_the_nightly_backup_names_every_store_and_keeps_what_the_alert_asks_for() -> None:
    job = yaml.safe_load((ROOT / "deploy" / "components" / "backup" / "cronjob.yaml").read_text())
    script = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"][0]
    stores = {each.name for each in manifests() if "store" in each.needs and each.name != "node"}
    assert set(re.findall(r"--store (\w+)=", script)) == stores
    alert = next(rule for rule in alerts() if rule["alert"] == "MillstreamBackupTooOld")
    assert re.search(r'cronjob=~"([^"]+)"', alert["expr"])[1] == f".*{job['metadata']['name']}.*"  # type: ignore[index]


@pytest.mark.parametrize(("there", "made", "left"), [(20, True, 14), (3, True, 4), (3, False, 3)])
def test_the_nightly_backup_keeps_the_newest_and_ends_badly_when_none_was_made(
    there: int, made: bool, left: int, tmp_path: Path
) -> None:
    """The job's own script, with a stand-in for the command that `tests/sdk/test_backup.py` tries for real."""
    job = yaml.safe_load((ROOT / "deploy" / "components" / "backup" / "cronjob.yaml").read_text())
    script = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]["containers"][0]["args"][0]
    folder, programs = tmp_path / "backup", tmp_path / "bin"
    folder.mkdir()
    programs.mkdir()
    for number in range(there):
        old = folder / f"{number:02}.tar.gz"
        old.touch()
        os.utime(old, (number, number))
    python = programs / "python"
    python.write_text('#!/bin/sh\n[ "$MADE" = True ] || exit 1\n: > "$4"\n')
    python.chmod(0o755)
    env = {"PATH": f"{programs}:/usr/bin:/bin", "MADE": str(made)}
    command = ["sh", "-ec", script.replace("/backup/", f"{folder}/")]
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode == 0) == made, done.stderr
    assert len(list(folder.iterdir())) == left
    assert (folder / f"{there - 1:02}.tar.gz").exists()


def test_the_overlay_that_the_operations_page_shows_can_be_built_and_runs_none_but_ones_own_images(
    tmp_path: Path,
) -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    told = re.search(r"```yaml\n# my-platform/kustomization.yaml\n(.+?)```", page, re.DOTALL)[1]  # type: ignore[index]
    shutil.copytree(ROOT / "deploy", tmp_path / "deploy")
    (tmp_path / "my-platform").mkdir()
    (tmp_path / "my-platform" / "kustomization.yaml").write_text(told)
    objects = build(tmp_path / "my-platform")
    assert {"PrometheusRule", "Ingress", "CronJob"} <= {obj["kind"] for obj in objects}
    images = set(re.findall(r"'image': '([^']+)'", str(objects)))
    ours = {image for image in images if "millstream/" in image}
    assert ours and all(image.startswith("registry.example.org/") and ":" in image for image in ours), images


def test_the_pod_of_tools_would_be_taken_by_a_cluster_and_is_let_through_to_the_broker(
    production: list[Object],
) -> None:
    pod = yaml.safe_load((ROOT / "deploy" / "samples" / "tools.yaml").read_text())
    assert schemas.fault(pod, schemas.NEWEST) is None
    assert not podsecurity.violations(pod["spec"])
    policy = next(o for o in production if o["kind"] == "NetworkPolicy" and o["metadata"]["name"] == "tools")
    assert pod["metadata"]["labels"]["app.kubernetes.io/name"] in str(policy["spec"]["podSelector"])
