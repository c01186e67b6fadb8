"""Jobs, Deployments and StatefulSets with real pods behind them."""

import asyncio

from tests.node.control.conftest import phase, pod, spec, true


def job(name, script, **fields):
    policy = fields.pop("policy", "Never")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name},
        "spec": {**fields, "template": {"spec": spec(script, policy)}},
    }


def deployment(name, script, replicas=2, **fields):
    labels = {"app": name}
    probe = {"exec": {"command": ["true"]}, "periodSeconds": 1}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec(script, "Always", readinessProbe=probe)},
            **fields,
        },
    }


async def test_a_job_counts_its_completions_exactly(desk):
    await desk.make(job("j", "true", completions=5, parallelism=2))
    done = await desk.until("Job", "j", true("Complete"))
    assert done["status"]["succeeded"] == 5 and "failed" not in done["status"]
    assert done["status"]["active"] == 0 and done["status"]["completionTime"]
    assert len(await desk.all("Pod")) == 5


async def test_an_indexed_job_runs_each_index_once_and_tells_it_to_the_pod(desk):
    script = "echo $JOB_COMPLETION_INDEX"
    await desk.make(job("j", script, completions=3, parallelism=3, completionMode="Indexed"))
    done = await desk.until("Job", "j", true("Complete"))
    assert done["status"]["completedIndexes"] == "0-2"
    pods = await desk.all("Pod")
    for one in pods:
        index = one["metadata"]["labels"]["batch.kubernetes.io/job-completion-index"]
        assert desk.log(one) == index
        assert one["spec"]["hostname"] == f"j-{index}"


async def test_a_job_fails_beyond_its_backoff_limit(desk):
    await desk.make(job("j", "exit 1", backoffLimit=1))
    failed = await desk.until("Job", "j", true("Failed"))
    assert failed["status"]["failed"] == 2
    assert failed["status"]["conditions"][-1]["reason"] == "BackoffLimitExceeded"


async def test_a_suspended_job_waits_and_ends_its_pods(desk):
    await desk.make(job("j", "sleep 30", suspend=True))
    await desk.until("Job", "j", true("Suspended"))
    assert await desk.all("Pod") == []
    await desk.patch("Job", "j", {"spec": {"suspend": False}})
    await desk.until("Job", "j", lambda j: j["status"].get("ready") == 1)
    await desk.patch("Job", "j", {"spec": {"suspend": True}})
    await desk.until("Job", "j", lambda j: j["status"].get("active") == 0)
    end = await desk.until("Job", "j", lambda j: j["status"].get("terminating") == 0)
    assert end["status"].get("failed", 0) == 0


async def test_a_job_past_its_deadline_fails_and_one_with_a_ttl_goes_away_with_its_pods(desk):
    await desk.make(job("late", "sleep 30", activeDeadlineSeconds=1), job("brief", "true", ttlSecondsAfterFinished=0))
    failed = await desk.until("Job", "late", true("Failed"))
    assert failed["status"]["conditions"][-1]["reason"] == "DeadlineExceeded"
    await desk.until("Job", "brief", lambda j: j is None)
    for _ in range(1500):
        if not [p for p in await desk.all("Pod") if p["metadata"]["name"].startswith("brief")]:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the pods of a deleted job are still there")


async def test_a_deployment_rolls_to_a_new_template_without_losing_availability(desk):
    await desk.make(deployment("web", "sleep 60"))
    whole = lambda d: d["status"].get("availableReplicas") == 2 and d["status"].get("updatedReplicas") == 2  # noqa: E731
    first = await desk.until("Deployment", "web", whole)
    assert first["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "1"
    before = {p["metadata"]["name"] for p in await desk.all("Pod")}
    template = {"template": {"metadata": {"annotations": {"changed": "yes"}}}}
    await desk.patch("Deployment", "web", {"spec": template})
    lowest = 2

    def rolled(d):
        nonlocal lowest
        lowest = min(lowest, d["status"]["availableReplicas"])
        current = d["status"]["observedGeneration"] == d["metadata"]["generation"]
        return current and whole(d) and d["status"]["replicas"] == 2

    second = await desk.until("Deployment", "web", rolled)
    assert lowest == 2
    assert second["metadata"]["annotations"]["deployment.kubernetes.io/revision"] == "2"
    now = {p["metadata"]["name"] for p in await desk.all("Pod") if not p["metadata"].get("deletionTimestamp")}
    assert not now & before


async def test_a_deployment_scales_and_replaces_a_pod_that_was_deleted(desk):
    await desk.make(deployment("web", "sleep 60", replicas=1))
    await desk.until("Deployment", "web", true("Available"))
    await desk.patch("Deployment", "web", {"spec": {"replicas": 3}})
    await desk.until("Deployment", "web", lambda d: d["status"].get("readyReplicas") == 3)
    victim = (await desk.all("Pod"))[0]["metadata"]["name"]
    await desk.delete("Pod", victim)
    await desk.until("Pod", victim, lambda p: p is None)
    await desk.until("Deployment", "web", lambda d: d["status"].get("readyReplicas") == 3)
    await desk.patch("Deployment", "web", {"spec": {"replicas": 0}})
    await desk.until("Deployment", "web", lambda d: d["status"].get("replicas") == 0)


async def test_a_statefulset_gives_sticky_names_addresses_and_claims_in_order(desk):
    labels = {"app": "db"}
    mounts = [{"name": "data", "mountPath": "/data"}]
    claim = {
        "metadata": {"name": "data"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    script = "date +%s%N >> /data/starts; exec sleep 60"
    await desk.make(
        {
            "apiVersion": "apps/v1",
            "kind": "StatefulSet",
            "metadata": {"name": "db"},
            "spec": {
                "serviceName": "db",
                "replicas": 2,
                "selector": {"matchLabels": labels},
                "template": {"metadata": {"labels": labels}, "spec": spec(script, "Always", volumeMounts=mounts)},
                "volumeClaimTemplates": [claim],
            },
        }
    )
    await desk.until("StatefulSet", "db", lambda s: s["status"].get("readyReplicas") == 2)
    first = await desk.get("Pod", "db-0")
    assert first["metadata"]["creationTimestamp"] <= (await desk.get("Pod", "db-1"))["metadata"]["creationTimestamp"]
    await desk.delete("Pod", "db-0")
    again = lambda p: p and p["metadata"]["uid"] != first["metadata"]["uid"] and phase("Running")(p)  # noqa: E731
    second = await desk.until("Pod", "db-0", again)
    assert second["status"]["podIP"] == first["status"]["podIP"]
    assert (await desk.until("PersistentVolumeClaim", "data-db-0", phase("Bound")))["status"]["capacity"] == {
        "storage": "1Gi"
    }
    starts = desk.node.place.home / "data" / "default" / "data-db-0" / "starts"
    for _ in range(1500):
        if len(starts.read_text().split()) == 2:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"the second pod did not find what the first one wrote: {starts.read_text()}")


async def test_deleting_an_owner_deletes_its_pods_and_a_namespace_everything_in_it(desk):
    await desk.make(deployment("web", "sleep 60", replicas=1), job("j", "sleep 60"), pod("loose", "sleep 60"))
    await desk.until("Deployment", "web", true("Available"))
    await desk.until("Job", "j", lambda j: j["status"].get("ready") == 1)
    await desk.delete("Deployment", "web")
    await desk.delete("Job", "j")
    for _ in range(1500):
        if {p["metadata"]["name"] for p in await desk.all("Pod")} == {"loose"}:
            break
        await asyncio.sleep(0.02)
    assert {p["metadata"]["name"] for p in await desk.all("Pod")} == {"loose"}
    await desk.delete("Namespace", "default")
    await desk.until("Namespace", "default", lambda n: n is None)
    assert await desk.all("Pod") == []
