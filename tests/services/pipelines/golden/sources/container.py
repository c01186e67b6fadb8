"""Components that are any program in a container: every placeholder, joined text, arguments that depend on inputs."""

from typing import Optional

from kfp import dsl


@dsl.container_component
def write(text: str, data: dsl.Output[dsl.Dataset], length: dsl.OutputPath(int)):
    script = 'mkdir -p "$(dirname "$1")" "$(dirname "$2")"; printf %s "$0" > "$1"; printf %s "${#0}" > "$2"'
    return dsl.ContainerSpec(image="python:3.11", command=["sh", "-ec", script], args=[text, data.path, length])


@dsl.container_component
def read(
    data: dsl.Input[dsl.Dataset],
    length: int,
    report: dsl.Output[dsl.Artifact],
    said: dsl.OutputPath(str),
    flag: bool = True,
    suffix: Optional[str] = None,
):
    script = 'mkdir -p "$(dirname "$1")" "$(dirname "$2")"; cat "$0" > "$1"; shift; out="$1"; shift; echo "$@" > "$out"'
    return dsl.ContainerSpec(
        image="python:3.11",
        command=["sh", "-ec", script],
        args=[
            data.path,
            report.path,
            said,
            dsl.ConcatPlaceholder(["--length=", length, ";"]),
            "--flag",
            flag,
            dsl.IfPresentPlaceholder(input_name="suffix", then=["--suffix", suffix], else_=["--no-suffix"]),
            f"--uri={data.uri}",
            f"--to={report.uri}",
        ],
    )


@dsl.container_component
def place(job: str, run: str, task: str, uid: str, root: str, resource: str, said: dsl.OutputPath(str)):
    script = 'mkdir -p "$(dirname "$0")"; echo "$@" > "$0"'
    return dsl.ContainerSpec(
        image="python:3.11", command=["sh", "-ec", script], args=[said, job, run, task, uid, root, resource]
    )


@dsl.pipeline(name="container-components")
def pipeline(text: str = "some words"):
    written = write(text=text)
    read(data=written.outputs["data"], length=written.outputs["length"], suffix="end")
    read(data=written.outputs["data"], length=5, flag=False)
    place(
        job=dsl.PIPELINE_JOB_NAME_PLACEHOLDER,
        run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        task=dsl.PIPELINE_TASK_NAME_PLACEHOLDER,
        uid=dsl.PIPELINE_TASK_ID_PLACEHOLDER,
        root=dsl.PIPELINE_ROOT_PLACEHOLDER,
        resource=dsl.PIPELINE_JOB_RESOURCE_NAME_PLACEHOLDER,
    )
