"""Which pods a job wants, by name and port; a job's names and ports never change while it lives."""

from collections.abc import Iterator
from typing import Any

from services.trainer.domain.legacy.family import FIRST_PORT, PORTS, Crew, Family, Job, Replica


def host(name: str, role: str, index: int) -> str:
    """Upstream's name of a replica's pod and of its service."""
    return f"{name}-{role.lower()}-{index}"


def replica_specs(job: Job, family: Family) -> dict[str, Any]:
    """In the order of the family's roles."""
    given = job["spec"][family.specs]
    return {role: given[role] for role in family.roles if role in given}


def wanted(job: Job, family: Family, role: str) -> int:
    spec = job["spec"][family.specs].get(role) or {}
    count = spec.get("replicas")
    return 1 if count is None else int(count)


def crew(job: Job, family: Family, first_port: int) -> Crew:
    """`first_port` is the job's own, see `port_for`; a port that the template names wins."""
    return Crew(job, tuple(_replicas(job, family, first_port)))


def port_for(job: Job, family: Family, ticket: int) -> int:
    """The first port of a job whose `ticket` is a number that no other job running now has."""
    size = sum(wanted(job, family, role) for role in replica_specs(job, family)) if family.ports_apart else 1
    size = max(1, size)
    return FIRST_PORT + (ticket * size) % (PORTS - PORTS % size)


def _replicas(job: Job, family: Family, first_port: int) -> Iterator[Replica]:
    name, position = job["metadata"]["name"], 0
    for role, spec in replica_specs(job, family).items():
        own = _named_port(spec["template"], family)
        for index in range(wanted(job, family, role)):
            port = own or first_port + (position if family.ports_apart else 0)
            yield Replica(role, index, host(name, role, index), port)
            position += 1


def _named_port(template: dict[str, Any], family: Family) -> int | None:
    for container in template["spec"]["containers"]:
        if container["name"] == family.container:
            for port in container.get("ports") or []:
                if port.get("name") == family.port_name:
                    return int(port["containerPort"])
    return None
