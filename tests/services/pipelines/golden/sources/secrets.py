"""The Kubernetes document as its first release has it: secrets by environment and file, a claim, a node selector."""

from kfp import dsl, kubernetes


@dsl.component(base_image="python:3.11")
def work(text: str) -> str:
    import os

    return f"{text} {os.environ.get('PASSWORD')}"


@dsl.pipeline(name="secrets")
def pipeline(text: str = "named"):
    named = work(text=text)
    kubernetes.use_secret_as_env(named, secret_name="keys", secret_key_to_env={"password": "PASSWORD"})
    kubernetes.use_secret_as_volume(named, secret_name="keys", mount_path="/keys")
    kubernetes.mount_pvc(named, pvc_name="shared", mount_path="/shared")
    kubernetes.add_node_selector(named, "kubernetes.io/os", "linux")
