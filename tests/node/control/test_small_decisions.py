"""Quantities, expansion, names, routes, rollouts: the smaller pure decisions."""

from datetime import UTC, datetime, timedelta

import pytest

from services.node.domain.deployments import plan_deployment
from services.node.domain.expand import expand
from services.node.domain.naming import spellings
from services.node.domain.probes import ProbeSpec, Streak, answered
from services.node.domain.quantity import quantity
from services.node.domain.routes import caddy_routes

NOW = datetime(2026, 11, 22, 10, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "number"), [("500m", 0.5), (2, 2.0), (1.5, 1.5), ("1Gi", 2**30), ("2k", 2000), ("1e3", 1000), (".5", 0.5)]
)
def test_quantities_are_read_as_kubernetes_reads_them(text, number):
    assert quantity(text) == number


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "--1"])
def test_what_is_no_quantity_is_refused(text):
    with pytest.raises(ValueError, match="not a quantity"):
        quantity(text)


def test_references_expand_unknown_ones_stay_and_double_dollars_escape():
    assert expand("$(A) $(B) $$(A) $A $", {"A": "x"}) == "x $(B) $(A) $A $"


def test_a_bare_service_name_is_known_in_its_own_namespace_only():
    assert "web" in spellings("web", "a", "a")
    assert "web" not in spellings("web", "a", "b")
    assert spellings("web", "a", "b")[0] == "web.a.svc.cluster.local"


def test_a_probe_changes_its_mind_only_at_a_threshold():
    spec, streak = ProbeSpec("readiness", {}, successes=2, failures=3), Streak(verdict=True)
    for ok, verdict in [(False, True), (False, True), (False, False), (True, False), (True, True)]:
        streak = answered(streak, ok, spec)
        assert streak.verdict is verdict


def route(name, path, backends, kind="PathPrefix", **match):
    rule = {"matches": [{"path": {"type": kind, "value": path}, **match}], "backendRefs": backends}
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"rules": [rule]}}


def test_the_most_specific_route_wins():
    back = [{"name": "s", "port": 80}]
    routes = [route("all", "/", back), route("long", "/a/b", back), route("exact", "/a", back, "Exact")]
    header = route("head", "/a/b", back, headers=[{"name": "x", "value": "1"}])
    made = caddy_routes([*routes, header], lambda ns, ref: ["10.0.0.1:80"])
    assert [r["@id"].split("/")[1] for r in made] == ["exact", "head", "long", "all"]


def test_weights_are_shared_out_over_the_pods_of_each_backend():
    back = [{"name": "a", "port": 80, "weight": 9}, {"name": "b", "port": 80, "weight": 1}]
    pods = {"a": ["1:1", "2:1", "3:1"], "b": ["4:1"]}
    handler = caddy_routes([route("r", "/", back)], lambda ns, ref: pods[ref["name"]])[0]["handle"][-1]
    assert handler["load_balancing"]["selection_policy"]["weights"] == [3, 3, 3, 1]


@pytest.mark.parametrize(("found", "code"), [(None, 500), ([], 503)])
def test_a_route_to_nowhere_answers_for_itself(found, code):
    handler = caddy_routes([route("r", "/", [{"name": "a", "port": 80}])], lambda ns, ref: found)[0]["handle"][-1]
    assert handler["status_code"] == code


def deployment(replicas=3, **strategy):
    template = {"metadata": {"labels": {"a": "b"}}, "spec": {"containers": []}}
    spec = {"replicas": replicas, "template": template, "strategy": strategy}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "d", "namespace": "ns", "uid": "u"},
        "spec": spec,
        "status": {},
    }


def pods_of(made, ready):
    on = {"type": "Ready", "status": "True" if ready else "False", "lastTransitionTime": "2026-11-22T09:00:00Z"}
    return [{**p, "status": {"phase": "Running", "conditions": [on]}} for p in made]


def test_a_rolling_update_adds_within_the_surge_and_removes_only_what_can_be_spared():
    names = ["aaaaa", "bbbbb", "ccccc"]
    owner = deployment(type="RollingUpdate", rollingUpdate={"maxSurge": 1, "maxUnavailable": 0})
    old = pods_of(plan_deployment(owner, [], NOW, names).create, True)
    owner["spec"]["template"]["metadata"]["annotations"] = {"new": "yes"}
    step = plan_deployment(owner, old, NOW, ["ddddd"] * 3)
    assert len(step.create) == 1 and step.delete == ()
    waiting = plan_deployment(owner, [*old, *pods_of(step.create, False)], NOW, names)
    assert waiting.create == () and waiting.delete == ()
    ready = plan_deployment(owner, [*old, *pods_of(step.create, True)], NOW, names)
    assert len(ready.delete) == 1


def test_recreate_waits_for_the_old_pods_to_be_gone():
    owner = deployment(2, type="Recreate")
    old = pods_of(plan_deployment(owner, [], NOW, ["aaaaa", "bbbbb"]).create, True)
    owner["spec"]["template"]["metadata"]["annotations"] = {"new": "yes"}
    first = plan_deployment(owner, old, NOW, ["ccccc", "ddddd"])
    assert first.create == () and len(first.delete) == 2
    ending = [{**p, "metadata": {**p["metadata"], "deletionTimestamp": "2026-11-22T10:00:00Z"}} for p in old]
    assert plan_deployment(owner, ending, NOW, ["ccccc", "ddddd"]).create == ()
    assert len(plan_deployment(owner, [], NOW, ["ccccc", "ddddd"]).create) == 2


def test_progress_is_stamped_with_the_time_of_each_step():
    owner = deployment(2)
    first = plan_deployment(owner, [], NOW, ["aaaaa", "bbbbb"])
    later = NOW + timedelta(seconds=5)
    owner["status"] = first.status
    second = plan_deployment(owner, pods_of(first.create, False), later, [])
    told = {c["type"]: c["lastUpdateTime"] for c in second.status["conditions"]}
    assert told["Progressing"] == "2026-11-22T10:00:05Z"
    owner["status"] = {**second.status, "observedGeneration": 0}
    third = plan_deployment(owner, pods_of(first.create, False), later + timedelta(seconds=5), [])
    assert all(c["lastUpdateTime"] for c in third.status["conditions"])
