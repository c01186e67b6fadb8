"""Which Events a change of a pod's status is worth; pure."""

from typing import Any

from services.node.reconcile.recorder import News

Object = dict[str, Any]


def news_of(pod: Object, old: Object, new: Object) -> list[News]:
    """What happened to each container between two statuses."""
    news: list[News] = []
    for part in ("initContainerStatuses", "containerStatuses"):
        before = {one["name"]: one for one in old.get(part) or []}
        for one in new.get(part) or []:
            news += _container(before.get(one["name"]) or {}, one)
    return news


def _container(old: Object, new: Object) -> list[News]:
    name, state, was = new["name"], new.get("state") or {}, old.get("state") or {}
    found: list[News] = []
    if _began(new) and not (_began(old) and old.get("restartCount") == new["restartCount"]):
        found.append(("Normal", "Started", f"Started container {name}", name))
    ended = state.get("terminated") or (new.get("lastState") or {}).get("terminated")
    before = was.get("terminated") or (old.get("lastState") or {}).get("terminated")
    if ended and ended != before:
        found += _end(name, ended)
    waits = (state.get("waiting") or {}).get("reason")
    if waits == "CrashLoopBackOff" and (was.get("waiting") or {}).get("reason") != waits:
        found.append(("Warning", "BackOff", f"Back-off restarting failed container {name}", name))
    return found


def _began(status: Object) -> bool:
    """Whether this attempt ran, be it over already: a short one may never have been seen running."""
    state = status.get("state") or {}
    return "running" in state or (state.get("terminated") or {}).get("reason") not in (None, "StartError")


def _end(name: str, ended: Object) -> list[News]:
    if ended["reason"] == "OOMKilled":
        return [("Warning", "OOMKilled", f"Container {name} used more memory than its limit and was killed", name)]
    if ended["reason"] == "StartError":
        return [("Warning", "Failed", f"Error: {ended.get('message') or 'the container could not be started'}", name)]
    return []
