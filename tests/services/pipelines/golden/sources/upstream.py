"""ignore_upstream_failure: a task that runs after a failed one, with the default of the output that never came."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def fail(message: str) -> str:
    raise RuntimeError(message)


@dsl.component(base_image="python:3.11")
def say(text: str = "said anyway") -> str:
    return text


@dsl.pipeline(name="upstream")
def pipeline(message: str = "broken on purpose"):
    fails = fail(message=message)
    say(text=fails.output).ignore_upstream_failure()
    say(text="after").after(fails).ignore_upstream_failure()
    say(text="skipped").after(fails)
