"""The Kubernetes document: secrets, config maps, volumes, tolerations, selectors, labels, timeouts."""

from kfp import dsl, kubernetes


@dsl.component(base_image="python:3.11")
def work(text: str) -> str:
    import os

    return f"{text} {os.environ.get('PASSWORD')} {os.environ.get('COLOUR')}"


@dsl.pipeline(name="kubernetes")
def pipeline(secret: str = "keys", colour: str = "colours"):
    named = work(text="named")
    kubernetes.use_secret_as_env(named, secret_name="keys", secret_key_to_env={"password": "PASSWORD"})
    kubernetes.use_secret_as_volume(named, secret_name="keys", mount_path="/keys")
    kubernetes.use_config_map_as_env(named, config_map_name="colours", config_map_key_to_env={"colour": "COLOUR"})
    kubernetes.use_config_map_as_volume(named, config_map_name="colours", mount_path="/colours", optional=True)
    kubernetes.use_field_path_as_env(named, env_name="POD", field_path="metadata.name")
    kubernetes.add_pod_label(named, "team", "blue")
    kubernetes.add_pod_annotation(named, "note", "a note")
    kubernetes.set_image_pull_policy(named, "IfNotPresent")
    kubernetes.set_image_pull_secrets(named, ["pull"])
    placed = work(text="placed").after(named)
    kubernetes.add_node_selector(placed, "kubernetes.io/os", "linux")
    kubernetes.add_toleration(placed, key="spot", operator="Equal", value="true", effect="NoSchedule")
    kubernetes.add_toleration(placed, key="gone", operator="Exists", effect="NoExecute", toleration_seconds=30)
    kubernetes.set_timeout(placed, 600)
    kubernetes.add_ephemeral_volume(
        placed, volume_name="scratch", mount_path="/scratch", access_modes=["ReadWriteOnce"], size="1Gi"
    )
