"""Settings of later releases: resources and images out of inputs, and a cache key of one's own."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def work(text: str) -> str:
    return text


@dsl.pipeline(name="late-settings")
def pipeline(cpu: str = "1", memory: str = "256Mi", image: str = "python:3.11", gpus: str = "1"):
    work(text="keyed").set_caching_options(True, cache_key="my-own-key")
    sized = work(text="sized").set_cpu_limit(cpu).set_cpu_request("100m")
    sized.set_memory_limit(memory).set_memory_request(work(text="128Mi").output)
    work(text="accelerated").set_accelerator_type("nvidia.com/gpu").set_accelerator_limit(gpus)
    work(text="elsewhere").set_container_image(image)
