"""Names of services: what the node's name server answers, and that the edge follows endpoints without a new config."""

from __future__ import annotations

import asyncio
import socket

import dns.asyncresolver
import dns.message
import dns.rcode
import pytest

from services.node.adapters.nameserver import NameServer, answer
from services.node.domain.naming import endpoints_name, resolve
from services.node.domain.routes import Follow, caddy_routes


def service(name, cluster_ip):
    return {"metadata": {"name": name, "namespace": "ns"}, "spec": {"clusterIP": cluster_ip, "selector": {"app": name}}}


def pod(name, ip, app, ready=True):
    return {
        "metadata": {"name": name, "namespace": "ns", "labels": {"app": app}},
        "spec": {"containers": []},
        "status": {
            "podIP": ip,
            "phase": "Running",
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
        },
    }


SERVICES = [service("web", "127.9.1.1"), service("db", "None"), service("idle", "127.9.1.2")]
PODS = [pod("a", "127.9.16.1", "web"), pod("b", "127.9.16.2", "web", ready=False), pod("c", "127.9.16.3", "db")]


@pytest.mark.parametrize(
    ("name", "addresses"),
    [
        (endpoints_name("web", "ns"), ["127.9.16.1"]),
        (endpoints_name("idle", "ns"), []),
        (endpoints_name("nothing", "ns"), None),
        ("web.ns.svc.cluster.local", ["127.9.1.1"]),
        ("db.ns.svc.cluster.local", ["127.9.16.3"]),
        ("nothing.ns.svc.cluster.local", None),
        ("example.org", None),
    ],
)
def test_a_name_leads_to_ready_pods_or_to_the_cluster_address(name, addresses):
    assert resolve(name, SERVICES, PODS) == addresses


def test_what_is_no_question_is_not_answered():
    assert answer(b"", lambda name: []) is None
    assert answer(b"\x00" * 40, lambda name: []) is None
    response = dns.message.make_response(dns.message.make_query("a.b", "A"))
    assert answer(response.to_wire(), lambda name: []) is None


def test_an_unknown_name_is_answered_with_nxdomain():
    asked = dns.message.make_query("no.where", "A").to_wire()
    told = answer(asked, lambda name: None)
    assert told is not None and dns.message.from_wire(told).rcode() == dns.rcode.NXDOMAIN


async def test_a_real_resolver_reads_the_answers():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    names = await NameServer.listen(lambda name: resolve(name, SERVICES, PODS), "127.0.0.1", port)
    try:
        resolver = dns.asyncresolver.Resolver(configure=False)
        resolver.nameservers, resolver.port = ["127.0.0.1"], port
        found = await asyncio.wait_for(resolver.resolve(endpoints_name("web", "ns"), "A"), 30)
        assert [record.address for record in found] == ["127.9.16.1"]
    finally:
        names.close()


def test_a_new_endpoint_changes_no_configuration_of_the_proxy():
    rule = {"matches": [{"path": {"value": "/"}}], "backendRefs": [{"name": "web", "port": 80}]}
    routes = [{"metadata": {"name": "r", "namespace": "ns"}, "spec": {"rules": [rule]}}]
    follow = Follow("127.9.0.1:6453", lambda ns, ref: 80)
    none = caddy_routes(routes, lambda ns, ref: [], follow)
    one = caddy_routes(routes, lambda ns, ref: ["127.9.16.1:80"], follow)
    two = caddy_routes(routes, lambda ns, ref: ["127.9.16.1:80", "127.9.16.2:80"], follow)
    assert none == one == two
    assert one[0]["handle"][-1]["dynamic_upstreams"]["name"] == endpoints_name("web", "ns")
