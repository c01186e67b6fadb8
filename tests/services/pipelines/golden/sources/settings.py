"""What a task may be given besides inputs: retry, cache, resources, an accelerator, environment, a name, an image."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def work(text: str) -> str:
    import os

    return f"{text} {os.environ.get('GREETING')}"


@dsl.component(base_image="python:3.11", packages_to_install=["six==1.17.0"], install_kfp_package=True)
def packaged() -> str:
    import six

    return six.__version__


@dsl.pipeline(name="settings", description="Settings of tasks", display_name="Settings of tasks")
def pipeline(text: str = "hello"):
    tried = work(text=text).set_retry(3, backoff_duration="5s", backoff_factor=2.0, backoff_max_duration="3600s")
    tried.set_caching_options(False).set_display_name("Tried thrice")
    sized = work(text=tried.output).set_cpu_limit("1").set_cpu_request("500m")
    sized.set_memory_limit("512Mi").set_memory_request("256Mi")
    sized.set_env_variable("GREETING", "good day").set_env_variable("EMPTY", "")
    quick = work(text="gpu").set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(1).after(sized)
    quick.set_caching_options(True)
    packaged().after(sized)
