"""What a node is given to apply when it starts is what the pods that it starts again get, in place of the old."""

import json

from tests.node.control.conftest import node_of, pod


def manifests(home, color):
    """A file of a ConfigMap and of a pod that shows it, both as a variable and as a file."""
    script = "echo $COLOR $(cat /etc/settings/COLOR); exec sleep 600"
    volumes = [{"name": "files", "configMap": {"name": "settings"}}]
    mounts = [{"name": "files", "mountPath": "/etc/settings"}]
    env = [{"configMapRef": {"name": "settings"}}]
    shown = pod("p", script, policy="Always", envFrom=env, volumes=volumes, volumeMounts=mounts)
    settings = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"COLOR": color}}
    path = home / "manifests.yaml"
    path.write_text("\n---\n".join(json.dumps(obj) for obj in (shown, settings)))
    return path


def up(attempt):
    """The pod runs, for the so many-th time."""

    def right(obj):
        told = (obj or {"status": {}})["status"].get("containerStatuses") or []
        return bool(told) and told[0]["ready"] and told[0]["restartCount"] == attempt

    return right


async def test_a_pod_that_a_new_node_starts_again_has_the_settings_that_the_node_came_with(tmp_path):
    async with node_of(tmp_path, manifests(tmp_path, "red")) as desk:
        shown = await desk.until("Pod", "p", up(0))
        await desk.until_says(shown, "red red")
    async with node_of(tmp_path, manifests(tmp_path, "blue")) as desk:
        await desk.until("Pod", "p", up(1))
        await desk.until_says(shown, "blue blue", attempt=1)
