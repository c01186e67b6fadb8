"""The Kubernetes document of later releases: names out of inputs, objects as JSON, affinity."""

from kfp import dsl, kubernetes


@dsl.component(base_image="python:3.11")
def work(text: str) -> str:
    return text


@dsl.component(base_image="python:3.11")
def selector() -> dict:
    return {"kubernetes.io/os": "linux"}


@dsl.pipeline(name="kubernetes-late")
def pipeline(secret: str = "keys", colour: str = "colours", spot: dict = {"key": "spot", "operator": "Exists"}):
    name = work(text="keys")
    given = work(text="given")
    kubernetes.use_secret_as_env(given, secret_name=secret, secret_key_to_env={"password": "PASSWORD"}, optional=True)
    kubernetes.use_secret_as_volume(given, secret_name=name.output, mount_path="/keys")
    kubernetes.use_config_map_as_env(given, config_map_name=colour, config_map_key_to_env={"colour": "COLOUR"})
    kubernetes.use_config_map_as_volume(given, config_map_name=colour, mount_path="/colours")
    kubernetes.set_image_pull_secrets(given, [secret])
    placed = work(text="placed")
    kubernetes.add_node_selector_json(placed, selector().output)
    kubernetes.add_toleration_json(placed, spot)
    kubernetes.add_toleration_json(placed, [{"key": "a", "operator": "Exists"}, {"key": "b", "operator": "Exists"}])
    kubernetes.empty_dir_mount(placed, volume_name="space", mount_path="/space", medium="Memory", size_limit="64Mi")
    kubernetes.add_node_affinity(
        placed, match_expressions=[{"key": "disk", "operator": "In", "values": ["ssd", "nvme"]}], weight=10
    )
    kubernetes.add_node_affinity(placed, match_expressions=[{"key": "zone", "operator": "Exists"}])
    free = work(text="affinity of an object")
    kubernetes.add_node_affinity_json(
        free,
        {
            "requiredDuringSchedulingIgnoredDuringExecution": {
                "nodeSelectorTerms": [{"matchExpressions": [{"key": "kubernetes.io/os", "operator": "Exists"}]}]
            }
        },
    )
    kubernetes.set_security_context(free, run_as_user=1000, run_as_group=1000, run_as_non_root=True)
