"""The node over HTTP: who may ask, logs as kubectl reads them, errors that name the field."""

import asyncio
import json
import shutil
import urllib.error
import urllib.request

import pytest

from libs.service.identity import User
from services.node.api.access import Access
from tests.node.control.conftest import phase, pod


class Client:
    def __init__(self, url):
        self.url = url

    async def ask(self, method, path, body=None, token="owner"):
        return await asyncio.to_thread(self._ask, method, path, body, token)

    def _ask(self, method, path, body, token):
        headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {token}"} if token else {})
        request = urllib.request.Request(
            self.url + path, json.dumps(body).encode() if body else None, headers, method=method
        )
        try:
            with urllib.request.urlopen(request, timeout=10) as answer:
                return answer.status, answer.headers["Content-Type"], answer.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.headers["Content-Type"], error.read().decode()


@pytest.fixture
def client(desk):
    return Client(desk.node.url)


async def test_nobody_is_believed_without_a_credential_and_accounts_of_users_may_read_nothing(desk, client):
    assert (await client.ask("GET", "/api/v1/pods", token=None))[0] == 401
    assert (await client.ask("GET", "/api/v1/pods", token="guess"))[0] == 401
    code, _, body = await client.ask(
        "POST", "/api/v1/namespaces/default/serviceaccounts/default/token", {"spec": {"expirationSeconds": 600}}
    )
    token = json.loads(body)["status"]["token"]
    assert code in (200, 201)
    code, _, body = await client.ask("GET", "/api/v1/namespaces/default/pods", token=token)
    assert (code, json.loads(body)["reason"]) == (403, "Forbidden")
    assert (await client.ask("GET", "/version", token=token))[0] == 200
    await client.ask("DELETE", "/api/v1/namespaces/default/serviceaccounts/default")
    for _ in range(1500):
        if (await client.ask("GET", "/version", token=token))[0] == 401:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("a token outlives its account")


ASK = """
import json, os, urllib.error, urllib.request as u
c = json.load(open(os.environ["KUBECONFIG"]))
theirs = "namespaces/millstream-system/secrets/theirs"
for path in ("pods", "secrets", "configmaps", theirs, "namespaces/default/secrets/x"):
    told = {"Authorization": "Bearer " + c["users"][0]["user"]["token"]}
    try:
        print(u.urlopen(u.Request(c["clusters"][0]["cluster"]["server"] + "/api/v1/" + path, headers=told)).status)
    except urllib.error.HTTPError as error:
        print(error.code)
"""


async def test_a_platform_account_may_do_what_its_manifest_says_through_the_kubeconfig_in_its_pod(desk, client):
    where = {"name": "trainer", "namespace": "millstream-system"}
    await desk.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where})
    made = pod("p", "")
    made["metadata"]["namespace"] = "millstream-system"
    made["spec"]["serviceAccountName"] = "trainer"
    made["spec"]["containers"][0] |= {"command": ["python", "-c", ASK], "image": "millstream/x"}
    await desk.make(made)
    for _ in range(1500):
        found = await desk.get("Pod", "p", "millstream-system")
        if found["status"]["phase"] in ("Succeeded", "Failed"):
            break
        await asyncio.sleep(0.02)
    # pods: it reads them; secrets: never all of them; those of the platform: not one; those of its jobs: by name.
    assert desk.log(found).split() == ["200", "403", "200", "403", "404"]


class _AKind:
    def __init__(self, plural: str, group: str = "", namespaced: bool = True) -> None:
        self.plural, self.group, self.namespaced = plural, group, namespaced


@pytest.mark.parametrize(
    ("verb", "kind", "namespace", "name", "allowed"),
    [
        ("list", _AKind("pods"), "", "", True),
        ("create", _AKind("pods"), "default", "p", True),
        ("get", _AKind("secrets"), "default", "s", True),
        ("delete", _AKind("namespaces", namespaced=False), "", "team", True),
        ("get", _AKind("secrets"), "millstream-system", "s", False),
        ("list", _AKind("secrets"), "", "", False),
        ("watch", _AKind("secrets"), "", "", False),
        ("create", _AKind("pods"), "millstream-system", "spy", False),
        ("create", _AKind("serviceaccounts"), "millstream-system", "trainer", False),
        ("patch", _AKind("deployments", "apps"), "millstream-system", "gateway", False),
        ("deletecollection", _AKind("pods"), "", "", False),
        ("delete", _AKind("namespaces", namespaced=False), "", "millstream-system", False),
        ("deletecollection", _AKind("namespaces", namespaced=False), "", "", False),
    ],
)
async def test_who_shows_no_token_may_not_reach_into_the_platform(verb, kind, namespace, name, allowed):
    local = User("local-user", ("millstream:local", "system:authenticated"))
    assert await Access(())(local, verb, kind, namespace, name) is allowed


SAR = "/apis/authorization.k8s.io/v1/subjectaccessreviews"


def may(user, groups, verb, resource, group="trainer.kubeflow.org", namespace="default", name=""):
    wish = {"verb": verb, "group": group, "resource": resource, "namespace": namespace, "name": name}
    return {"spec": {"user": user, "groups": groups, "resourceAttributes": wish}}


@pytest.mark.parametrize(
    ("review", "allowed"),
    [
        (may("ann", ["system:masters"], "delete", "trainjobs"), True),
        (may("ann", ["system:authenticated"], "get", "trainjobs"), False),
        (may("local-user", ["millstream:local"], "create", "trainjobs"), True),
        (may("local-user", ["millstream:local"], "create", "clustertrainingruntimes", namespace=""), True),
        (may("local-user", ["millstream:local"], "create", "trainjobs", namespace="millstream-system"), False),
        (may("local-user", ["millstream:local"], "get", "secrets", "", "millstream-system", "s"), False),
        (may("system:serviceaccount:millstream-system:trainer", [], "create", "jobs", "batch"), True),
        (may("system:serviceaccount:millstream-system:trainer", [], "create", "deployments", "apps"), False),
        (may("system:serviceaccount:team:trainer", [], "create", "jobs", "batch"), False),
    ],
)
async def test_a_review_says_what_the_node_itself_would_let_somebody_do(review, allowed):
    from services.node.api.access import Wish
    from services.node.app import _access

    spec = review["spec"]
    assert _access().allows(User(spec["user"], tuple(spec["groups"])), Wish.of(spec["resourceAttributes"])) is allowed


async def test_the_owner_may_ask_who_a_token_is_and_what_somebody_may_and_users_may_not(desk, client):
    where = {"name": "bot", "namespace": "default"}
    account = await desk.make({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": where})
    path = "/api/v1/namespaces/default/serviceaccounts/bot/token"
    bot = json.loads((await client.ask("POST", path, {"spec": {}}))[2])["status"]["token"]
    assert account["metadata"]["uid"]

    async def review(token, kind="authentication.k8s.io/v1/tokenreviews", asker="owner"):
        code, _, text = await client.ask("POST", f"/apis/{kind}", {"spec": {"token": token}}, token=asker)
        return code, json.loads(text)

    code, told = await review(bot)
    assert (code, told["status"]["user"]["username"]) == (201, "system:serviceaccount:default:bot")
    assert "system:serviceaccounts:default" in told["status"]["user"]["groups"]
    assert (await review("nonsense"))[1]["status"]["authenticated"] is False
    assert (await review(bot, asker=bot))[0] == 403
    assert (await client.ask("POST", SAR, may("ann", ["system:masters"], "get", "pods", ""), token=bot))[0] == 403
    code, _, text = await client.ask("POST", SAR, may("ann", ["system:masters"], "get", "pods", ""))
    assert (code, json.loads(text)["status"]) == (201, {"allowed": True})
    assert (await client.ask("POST", SAR, {"spec": None}))[0] == 400
    told = (await review("", "authentication.k8s.io/v1/selfsubjectreviews", asker=bot))[1]
    assert told["status"]["userInfo"]["username"] == "system:serviceaccount:default:bot"


async def test_logs_come_as_text_whole_by_tail_with_times_followed_and_of_the_attempt_before(desk, client):
    await desk.make(pod("p", "echo one; echo two; echo three"))
    await desk.until("Pod", "p", phase("Succeeded"))
    base = "/api/v1/namespaces/default/pods/p/log"
    code, kind, text = await client.ask("GET", base)
    assert (code, kind.split(";")[0], text) == (200, "text/plain", "one\ntwo\nthree\n")
    assert (await client.ask("GET", base + "?tailLines=1"))[2] == "three\n"
    assert (await client.ask("GET", base + "?limitBytes=5"))[2] == "one\nt"
    assert (await client.ask("GET", base + "?timestamps=true&tailLines=1"))[2].split(" ")[0].endswith("Z")
    assert (await client.ask("GET", base + "?container=none"))[0] == 400
    assert (await client.ask("GET", base + "?previous=true"))[0] == 400
    await desk.make(pod("slow", "echo first; sleep 0.5; echo last"))
    await desk.until("Pod", "slow", phase("Running"))
    assert (await client.ask("GET", base.replace("/p/", "/slow/") + "?follow=true"))[2] == "first\nlast\n"
    await desk.make(pod("again", "echo run; exit 1", policy="OnFailure"))
    again = lambda p: p["status"].get("containerStatuses", [{}])[0].get("restartCount", 0) >= 1  # noqa: E731
    await desk.until("Pod", "again", again)
    assert (await client.ask("GET", base.replace("/p/", "/again/") + "?previous=true"))[2] == "run\n"


async def test_the_log_of_a_pod_that_only_a_backup_knows_is_not_found_rather_than_empty(desk, client):
    """So the gateway answers from the archive, as for a pod that is gone."""
    await desk.make(pod("p", "echo one"))
    uid = (await desk.until("Pod", "p", phase("Succeeded")))["metadata"]["uid"]
    shutil.rmtree(desk.runtime.pod_path(uid))
    code, _, text = await client.ask("GET", "/api/v1/namespaces/default/pods/p/log")
    assert (code, json.loads(text)["message"]) == (
        404, 'pod "p" left no log here: it ended before this home was restored',
    )  # fmt: skip


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"containers": []}, "spec.containers"),
        ({"restartPolicy": "Sometimes"}, "spec.restartPolicy"),
        ({"volumes": [{"name": "v", "hostPath": {"path": "/"}}]}, "spec.volumes[0].hostPath"),
        ({"volumes": [{"name": "v", "configMap": {"name": "c", "items": [{"key": "k", "path": "../../token"}]}}]},
         "spec.volumes[0].configMap.items[0].path"),
        ({"volumes": [{"name": "v", "projected": {"sources": [{"serviceAccountToken": {"path": "/etc/x"}}]}}]},
         "spec.volumes[0].projected.sources[0].serviceAccountToken.path"),
        ({"containers": [{"name": "Bad Name", "image": "x"}]}, "spec.containers[0].name"),
        ({"containers": [{"name": "a", "image": "x", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]},
         "spec.containers[0].volumeMounts[0].name"),
        ({"containers": [{"name": "a", "image": "x", "resources": {"limits": {"memory": "much"}}}]},
         "spec.containers[0].resources.limits[memory]"),
        ({"containers": [{"name": "a", "image": "x", "command": "sh"}]}, "spec.containers[0].command"),
    ],
)  # fmt: skip
async def test_a_wrong_pod_is_refused_with_the_name_of_the_field(desk, client, change, field):
    wrong = pod("p", "true")
    wrong["spec"] |= change
    code, _, body = await client.ask("POST", "/api/v1/namespaces/default/pods", wrong)
    assert code == 422
    assert field in [cause["field"] for cause in json.loads(body)["details"]["causes"]]


@pytest.mark.parametrize("kind", ["ConfigMap", "Secret"])
@pytest.mark.parametrize("key", ["../../../token", "a/b", "..", "..data", "", "a b"])
async def test_a_key_that_would_be_a_file_elsewhere_is_refused(desk, client, kind, key):
    value = {"ConfigMap": "eA==", "Secret": "eA=="}[kind]
    obj = {"apiVersion": "v1", "kind": kind, "metadata": {"name": "c"}, "data": {key: value}}
    code, _, body = await client.ask("POST", f"/api/v1/namespaces/default/{kind.lower()}s", obj)
    assert code == 422
    assert [cause["field"] for cause in json.loads(body)["details"]["causes"]] == [f"data[{key}]"]


async def test_a_link_made_by_a_container_leads_no_other_out_of_the_volume(desk):
    made = pod("p", "ls /out && cat /out/*")
    volume = {"name": "v", "mountPath": "/v"}
    made["spec"]["volumes"] = [{"name": "v", "emptyDir": {}}]
    made["spec"]["initContainers"] = [
        {"name": "first", "image": "busybox", "command": ["ln", "-s", "/", "/v/all"], "volumeMounts": [volume]}
    ]
    made["spec"]["containers"][0]["volumeMounts"] = [{"name": "v", "mountPath": "/out", "subPath": "all"}]
    await desk.make(made)

    def told(found):
        states = found["status"].get("containerStatuses") or [{}]
        return "leads out of its volume" in str(states[0].get("state"))

    await desk.until("Pod", "p", told)
