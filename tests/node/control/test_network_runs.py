"""Services, names and routes, with real connections through a real Caddy."""

import asyncio
import json
import socket
import sys
from pathlib import Path

import pytest

from tests.node.control.conftest import phase, pod, true
from tests.node.control.test_owners_run import deployment

SERVER = """
import http.server, os, sys
class H(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        body = (os.environ["WHO"] + " " + self.path).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *a): pass
http.server.ThreadingHTTPServer((os.environ["POD_IP"], 8000), H).serve_forever()
"""


def web(name, who=None, replicas=2):
    made = deployment(name, "", replicas)
    main = made["spec"]["template"]["spec"]["containers"][0]
    main["command"] = ["python", "-c", SERVER]
    who_am_i = {"value": who} if who else {"valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}}
    main["env"] = [
        {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
        {"name": "WHO", **who_am_i},
    ]
    main["ports"] = [{"name": "http", "containerPort": 8000}]
    main["readinessProbe"] = {"httpGet": {"path": "/", "port": "http"}, "periodSeconds": 1}
    main["lifecycle"] = {"preStop": {"sleep": {"seconds": 1}}}
    made["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = 5
    return made


def service(name, **fields):
    ports = [{"name": "http", "port": 80, "targetPort": "http"}]
    spec = {"selector": {"app": name}, "ports": ports, **fields}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name}, "spec": spec}


async def fetch(host, port, path="/", name=None):
    reader, writer = await asyncio.open_connection(host, port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {name or host}\r\nConnection: close\r\n\r\n".encode())
    text = (await reader.read()).decode()
    writer.close()
    if not text:
        raise ConnectionError("closed without an answer")
    head, _, body = text.partition("\r\n\r\n")
    return int(head.split()[1]), body


async def test_a_service_shares_connections_among_ready_pods_and_pods_find_it_by_name(desk):
    await desk.make(service("web"), web("web"))
    ip = (await desk.until("Service", "web", lambda s: s["spec"].get("clusterIP")))["spec"]["clusterIP"]
    await desk.until("Deployment", "web", lambda d: d["status"].get("readyReplicas") == 2)
    async with asyncio.timeout(30):
        while len({(await fetch(ip, 80))[1] for _ in range(4)}) < 2:  # noqa: ASYNC110  (the second pod comes to it)
            await asyncio.sleep(0.02)
    names = ["web", "web.default", "web.default.svc.cluster.local"]
    get = f"import urllib.request as u; print([u.urlopen('http://' + n).status for n in {names}])"
    asking = pod("asker", "")
    asking["spec"]["containers"][0]["command"] = ["python", "-c", get]
    await desk.make(asking)
    done = await desk.until("Pod", "asker", phase("Succeeded", "Failed"))
    assert desk.log(done) == "[200, 200, 200]"


async def test_pods_of_a_headless_service_have_names_of_their_own(desk):
    headless = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "gang"}}
    headless["spec"] = {"clusterIP": "None", "selector": {"g": "1"}, "publishNotReadyAddresses": True}
    first = pod("one", "sleep 30")
    first["metadata"]["labels"] = {"g": "1"}
    first["spec"] |= {"hostname": "node-0", "subdomain": "gang"}
    await desk.make(headless, first)
    there = await desk.until("Pod", "one", phase("Running"))
    asker = pod("two", "getent hosts node-0.gang | cut -d' ' -f1; getent hosts gang | cut -d' ' -f1")
    await desk.make(asker)
    done = await desk.until("Pod", "two", phase("Succeeded", "Failed"))
    assert desk.log(done).split() == [there["status"]["podIP"]] * 2


@pytest.fixture
async def caddy(desk):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    admin = desk.node.place.home / "run" / "caddy.sock"
    servers = {"edge": {"listen": [f"127.0.0.1:{port}"], "automatic_https": {"disable": True}, "routes": []}}
    config = {
        "admin": {"listen": f"unix/{admin}", "config": {"persist": False}},
        "apps": {"http": {"servers": servers}},
    }
    path = desk.node.place.home / "caddy.json"
    path.write_text(json.dumps(config))
    program = Path(sys.executable).parent / "caddy"
    process = await asyncio.create_subprocess_exec(
        str(program), "run", "--config", str(path), stderr=asyncio.subprocess.DEVNULL
    )
    yield port
    process.kill()
    await process.wait()


def route(name, path, backends, replace=None):
    rule = {"matches": [{"path": {"type": "PathPrefix", "value": path}}], "backendRefs": backends}
    if replace:
        rewrite = {"path": {"type": "ReplacePrefixMatch", "replacePrefixMatch": replace}}
        rule["filters"] = [{"type": "URLRewrite", "urlRewrite": rewrite}]
    spec = {"parentRefs": [{"name": "edge"}], "rules": [rule]}
    return {"apiVersion": "gateway.networking.k8s.io/v1", "kind": "HTTPRoute", "metadata": {"name": name}, "spec": spec}


async def until_answer(port, path, right, timeout_s=15):
    for _ in range(int(timeout_s / 0.05)):
        try:
            found = await fetch("127.0.0.1", port, path)
        except OSError:
            found = (0, "")
        if right(found):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"{path} keeps answering {found}")


async def test_a_route_reaches_its_pods_through_caddy_and_survives_a_rollout_without_a_failed_request(desk, caddy):
    await desk.make(service("web"), web("web"), route("r", "/serving/ns/web", [{"name": "web", "port": 80}], "/"))
    await desk.until("Deployment", "web", lambda d: d["status"].get("readyReplicas") == 2)
    told = (await desk.until("HTTPRoute", "r", lambda r: r["status"].get("parents")))["status"]["parents"][0]
    assert {c["type"]: c["status"] for c in told["conditions"]} == {"Accepted": "True", "ResolvedRefs": "True"}
    found = await until_answer(caddy, "/serving/ns/web/v2/models?x=1", lambda a: a[0] == 200)
    assert found[1].endswith(" /v2/models?x=1")
    bad, stop = [], asyncio.Event()

    async def knock():
        while not stop.is_set():
            try:
                code, body = await fetch("127.0.0.1", caddy, "/serving/ns/web")
            except (
                ConnectionError
            ):  # Caddy may close a connection that it accepts while it reloads: nothing was asked yet
                code, body = await fetch("127.0.0.1", caddy, "/serving/ns/web")
            if code != 200:
                bad.append((code, body))
            await asyncio.sleep(0.002)

    knocking = asyncio.create_task(knock())
    template = {"template": {"metadata": {"annotations": {"changed": "yes"}}}}
    await desk.patch("Deployment", "web", {"spec": template})

    def rolled(d):
        told = d["status"]
        current = told["observedGeneration"] == d["metadata"]["generation"]
        return current and told["updatedReplicas"] == told["availableReplicas"] == told["replicas"] == 2

    await desk.until("Deployment", "web", rolled)
    await asyncio.sleep(0.3)
    stop.set()
    await knocking
    assert bad == []


async def test_weights_split_traffic_and_a_missing_backend_is_told(desk, caddy):
    await desk.make(service("a"), web("a", "A", 1), service("b"), web("b", "B", 1))
    split = [{"name": "a", "port": 80, "weight": 3}, {"name": "b", "port": 80, "weight": 1}]
    await desk.make(route("split", "/x", split), route("gone", "/y", [{"name": "nowhere", "port": 80}]))
    for name in "ab":
        await desk.until("Deployment", name, true("Available"))
        await desk.until("Deployment", name, lambda d: d["status"].get("readyReplicas") == 1)
    seen = {(await until_answer(caddy, "/x", lambda a: a[0] == 200))[1]}
    for _ in range(1500):
        seen.add((await fetch("127.0.0.1", caddy, "/x"))[1])
        if len(seen) == 2:
            break
        await asyncio.sleep(0.02)
    answers = [(await fetch("127.0.0.1", caddy, "/x"))[1] for _ in range(40)]
    assert answers.count("A /x") == 30
    gone = await desk.until("HTTPRoute", "gone", lambda r: r["status"].get("parents"))
    resolved = next(c for c in gone["status"]["parents"][0]["conditions"] if c["type"] == "ResolvedRefs")
    assert (resolved["status"], resolved["reason"]) == ("False", "BackendNotFound")
    assert (await until_answer(caddy, "/y", lambda a: a[0] == 500))[0] == 500
