"""Pods as real processes, from the object in the store to its status."""

import asyncio

from libs.store import Store
from services.node.domain.attempts import Backoff
from services.node.reconcile.pods import Pods
from tests.node.control.conftest import node_of, phase, pod, true


async def test_a_pod_runs_to_its_end_and_tells_its_exit_code(desk):
    await desk.make(pod("good", "echo fine"), pod("bad", "exit 3"))
    good = await desk.until("Pod", "good", phase("Succeeded"))
    bad = await desk.until("Pod", "bad", phase("Failed"))
    assert desk.log(good) == "fine"
    assert bad["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == 3
    reasons = {e["reason"] for e in await desk.all("Event")}
    assert {"Scheduled", "Started"} <= reasons


BRIEF = [{"name": "MILLSTREAM_WARM", "value": "python"}]
"""What a container says of itself that is a short program."""


async def test_the_start_of_a_short_program_is_told_with_its_end(desk):
    await desk.make(pod("short", "true", env=BRIEF), pod("long", "sleep 30", env=BRIEF), pod("other", "sleep 0.1"))
    for name in ("short", "other"):
        await desk.until("Pod", name, phase("Succeeded"))
    await desk.until("Pod", "long", phase("Running"))
    async with desk.resources.store.read() as reader:
        told = [change.body for change in await reader.changes_since(0, resource="pods", limit=1000)]
    ran = {pod["metadata"]["name"] for pod in told if (pod.get("status") or {}).get("phase") == "Running"}
    assert ran == {"long", "other"}
    short = await desk.get("Pod", "short")
    ended = short["status"]["containerStatuses"][0]["state"]["terminated"]
    assert ended["startedAt"] and ended["exitCode"] == 0
    about = [e["reason"] for e in await desk.all("Event") if e["involvedObject"]["name"] == "short"]
    assert sorted(about) == ["Scheduled", "Started"]


async def test_the_node_writes_little_and_does_not_look_once_more_at_what_it_wrote_itself(desk, monkeypatch):
    looks, writes, look, write = [], [], Pods.reconcile, Store.write
    monkeypatch.setattr(Pods, "reconcile", lambda self, key: (looks.append(key), look(self, key))[1])
    monkeypatch.setattr(Store, "write", lambda self: (writes.append(1), write(self))[1])
    await desk.node.controllers.stop()  # its queues know the look from before
    await desk.node.controllers.start()
    writes.clear()
    await desk.make(pod("p", "true", env=BRIEF))
    await desk.until("Pod", "p", phase("Succeeded"))
    await desk.delete("Pod", "p")
    await desk.until("Pod", "p", lambda p: p is None)
    await asyncio.sleep(0.1)
    assert len(looks) == 3, looks  # it was made, it has ended, it shall go
    assert len(writes) == 5, writes  # besides: it has a place


async def test_configmaps_secrets_and_the_downward_api_reach_environment_and_files(desk):
    await desk.make(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "settings"},
            "data": {"COLOR": "red", "a.txt": "A"},
        },
        {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"word": "xyzzy"}},
    )
    env = [
        {"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "word"}}},
        {"name": "ME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
        {"name": "BOTH", "value": "$(WORD)-$(ME)"},
    ]
    mounts = [{"name": "files", "mountPath": "/etc/settings"}, {"name": "scratch", "mountPath": "/scratch"}]
    volumes = [{"name": "files", "configMap": {"name": "settings"}}, {"name": "scratch", "emptyDir": {}}]
    await desk.make(
        pod(
            "p", "echo $COLOR $BOTH; cat /etc/settings/a.txt; echo kept > /scratch/x; cat /scratch/x",
            env=env, envFrom=[{"configMapRef": {"name": "settings"}}], volumeMounts=mounts, volumes=volumes,
        )
    )  # fmt: skip
    done = await desk.until("Pod", "p", phase("Succeeded", "Failed"))
    assert desk.log(done).split() == ["red", "xyzzy-p", "Akept"]


async def test_a_missing_secret_holds_the_container_until_it_exists(desk):
    env = [{"name": "WORD", "valueFrom": {"secretKeyRef": {"name": "late", "key": "word"}}}]
    await desk.make(pod("p", "echo $WORD", env=env))
    waits = lambda p: p["status"].get("containerStatuses") and "waiting" in p["status"]["containerStatuses"][0]["state"]  # noqa: E731
    held = await desk.until("Pod", "p", waits)
    await desk.until("Pod", "p", lambda p: "CreateContainerConfigError" in str(p["status"]))
    assert held["status"]["phase"] == "Pending"
    await desk.make({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "late"}, "stringData": {"word": "now"}})
    assert desk.log(await desk.until("Pod", "p", phase("Succeeded"))) == "now"


async def test_a_crashing_container_is_restarted_with_a_count(desk):
    await desk.make(pod("p", "exit 1", policy="Always"))
    found = await desk.until(
        "Pod", "p", lambda p: p["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 2
    )
    assert found["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 1


async def test_a_deleted_pod_gets_its_grace_and_is_gone(desk):
    await desk.make(pod("p", "trap 'exit 0' TERM; while true; do sleep 0.05; done", policy="Always"))
    await desk.until("Pod", "p", phase("Running"))
    await desk.delete("Pod", "p")
    assert (await desk.get("Pod", "p"))["metadata"]["deletionTimestamp"]
    await desk.until("Pod", "p", lambda p: p is None)


async def test_what_the_node_does_not_have_leaves_a_pod_pending_and_says_so(desk):
    await desk.make(pod("p", "true", resources={"limits": {"nvidia.com/gpu": 1}}))
    held = await desk.until("Pod", "p", lambda p: p["status"].get("conditions"))
    told = held["status"]["conditions"][0]
    assert (told["reason"], held["status"]["phase"]) == ("Unschedulable", "Pending")
    assert "Insufficient nvidia.com/gpu" in told["message"]


async def test_a_gated_pod_waits_until_its_gates_are_taken_away_and_goes_where_it_was_told(desk):
    waiting = pod("p", "echo went")
    waiting["spec"] |= {
        "schedulingGates": [{"name": "kueue.x-k8s.io/topology"}],
        "nodeSelector": {"kubernetes.io/os": "linux"},
    }
    await desk.make(waiting)
    held = await desk.until("Pod", "p", lambda p: p["status"].get("conditions"))
    assert held["status"]["conditions"][0]["reason"] == "SchedulingGated"
    await desk.patch(
        "Pod", "p", {"spec": {"schedulingGates": None, "nodeSelector": {"kubernetes.io/hostname": "elsewhere"}}}
    )
    held = await desk.until("Pod", "p", lambda p: "Unschedulable" in str(p["status"]))
    assert "node affinity/selector" in str(held["status"])


async def test_readiness_follows_the_probe(desk):
    serve = "python -m http.server 8000 --bind $(hostname -i 2>/dev/null || echo $POD_IP)"
    env = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    probe = {"httpGet": {"path": "/", "port": 8000}, "periodSeconds": 1}
    one = pod(
        "p", serve.replace("$(hostname -i 2>/dev/null || echo $POD_IP)", "$POD_IP"), env=env, readinessProbe=probe
    )
    await desk.make(one)
    await desk.until("Pod", "p", phase("Running"))
    await desk.until("Pod", "p", true("Ready"))


async def test_a_failing_liveness_probe_restarts_the_container(desk):
    probe = {"exec": {"command": ["sh", "-c", "exit 1"]}, "periodSeconds": 1, "failureThreshold": 1}
    await desk.make(pod("p", "sleep 60", policy="Always", livenessProbe=probe))
    await desk.until("Pod", "p", lambda p: p["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1)
    assert "Unhealthy" in {e["reason"] for e in await desk.all("Event")}


def _restarts(least):
    return lambda pod: (
        pod
        and any(
            c["restartCount"] >= least and "CrashLoopBackOff" in str(c["state"])
            for c in (pod.get("status") or {}).get("containerStatuses") or ()
        )
    )


async def test_a_crash_loop_that_waits_is_tried_at_once_when_the_node_is_back(tmp_path):
    (tmp_path / "token").write_text("owner")
    for least in (1, 2):
        async with node_of(tmp_path, restarts=Backoff(600, 600)) as desk:
            if least == 1:
                await desk.make(pod("loops", "exit 1", policy="Always"))
            await desk.until("Pod", "loops", _restarts(least))
