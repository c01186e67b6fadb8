"""Between how many nodes a job may run (its annotations, else the runtime's elasticPolicy), and how many it has now."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from contracts import admission
from services.trainer.domain import words
from services.trainer.domain.blueprint import Blueprint

KEYS = {"min_nodes": ("minNodes", words.MIN_NODES), "max_nodes": ("maxNodes", words.MAX_NODES)}
RESTARTS = ("maxRestarts", words.MAX_RESTARTS)


def elasticity(job: dict[str, Any], policy: Mapping[str, Any]) -> dict[str, int]:
    """Layout's last fields; empty for a job whose number of nodes is fixed."""
    given = policy.get("elasticPolicy") or {}
    found = {field: _number(job, given, key, annotation) for field, (key, annotation) in KEYS.items()}
    known = {field: number for field, number in found.items() if number is not None}
    restarts = _number(job, given, *RESTARTS)
    return known | ({"max_restarts": restarts} if known and restarts is not None else {})


def is_elastic(job: dict[str, Any], plan: Blueprint) -> bool:
    """Whether its number of nodes may change while it runs."""
    return bool(elasticity(job, _policy(plan)))


def least(job: dict[str, Any], plan: Blueprint) -> int | None:
    """With how few nodes it may start; None for all or none."""
    found = elasticity(job, _policy(plan)).get("min_nodes")
    return min(found, plan.num_nodes) if found is not None else None


def granted(job: dict[str, Any], plan: Blueprint) -> Blueprint:
    """The blueprint with as many nodes as the scheduler lets it have now, at most as many as it asks for."""
    given = admission.assignment(job, words.NODE)
    return replace(plan, num_nodes=min(plan.num_nodes, given.count)) if given else plan


def wish(job: dict[str, Any], asked: Blueprint) -> int | None:
    """The number of nodes that the scheduler has to be told of: another one than it granted or was told before."""
    given = admission.assignment(job, words.NODE)
    if given is None or not is_elastic(job, asked):
        return None
    known = admission.of(job).get("counts") or {}
    return asked.num_nodes if known.get(words.NODE, given.count) != asked.num_nodes else None


def _policy(plan: Blueprint) -> Mapping[str, Any]:
    """Of the one framework that the runtime names."""
    return next((given for given in plan.policy.values() if isinstance(given, Mapping)), {})


def _number(job: dict[str, Any], given: Mapping[str, Any], key: str, annotation: str) -> int | None:
    own = words.annotation(job, annotation)
    value = int(own) if own is not None else given.get(key)
    return value if isinstance(value, int) else None


def elastic_causes(given: Any) -> list[tuple[str, str]]:
    """What is wrong with a runtime's `elasticPolicy`."""
    if not isinstance(given, dict):
        return [("elasticPolicy", "must be an object with minNodes, maxNodes, maxRestarts")]
    known = {"minNodes": 1, "maxNodes": 1, "maxRestarts": 0}
    wrong = [(f"elasticPolicy.{key}", f"is not known; known: {', '.join(known)}") for key in given if key not in known]
    for key, least in known.items():
        value = given.get(key, least)
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            wrong.append((f"elasticPolicy.{key}", f"{value!r} must be a whole number of at least {least}"))
    if not wrong and given.get("minNodes", 1) > given.get("maxNodes", given.get("minNodes", 1)):
        wrong.append(("elasticPolicy.minNodes", f"{given['minNodes']} must not exceed maxNodes, {given['maxNodes']}"))
    return wrong
