"""ExitHandler whose exit task hears how its tasks ended, and tasks that run whatever became of those before."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def fail(message: str) -> str:
    raise RuntimeError(message)


@dsl.component(base_image="python:3.11")
def say(text: str = "said anyway") -> str:
    return text


@dsl.component(base_image="python:3.11")
def tell(status: dsl.PipelineTaskFinalStatus, name: str) -> str:
    text = f"{name}: {status.state} {status.pipeline_task_name} {status.error_message}"
    print(text, status.pipeline_job_resource_name, status.error_code)
    return text


@dsl.component(base_image="python:3.11")
def tidy():
    print("tidied")


@dsl.pipeline(name="exits")
def pipeline(message: str = "broken on purpose"):
    with dsl.ExitHandler(tell(name="handler"), name="guarded"):
        fails = fail(message=message)
        say(text=fails.output)
    with dsl.ExitHandler(tidy()):
        say(text="well")
        with dsl.ParallelFor([1, 2]):
            say(text="looped")
