"""Limits of a whole run: how long it may take, and how long its pods are kept."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def work(text: str) -> str:
    return text


@dsl.pipeline(
    name="limits",
    pipeline_root="s3://millstream/pipelines/default/limits",
    pipeline_config=dsl.PipelineConfig(
        ttl_seconds_after_finished=3600,
        ttl_seconds_after_success=600,
        ttl_seconds_after_failure=7200,
        active_deadline_seconds=900,
    ),
)
def pipeline(text: str = "in time"):
    work(text=text)
