"""The workspace: one folder that all tasks of a run share, an importer that fills it, and limits of the whole run."""

from kfp import dsl


@dsl.component(base_image="python:3.11")
def write(folder: str, text: str):
    with open(f"{folder}/words.txt", "w") as file:
        file.write(text)


@dsl.component(base_image="python:3.11")
def read(folder: str) -> str:
    with open(f"{folder}/words.txt") as file:
        return file.read()


@dsl.component(base_image="python:3.11")
def size(data: dsl.Input[dsl.Dataset]) -> int:
    with open(data.path) as file:
        return len(file.read())


@dsl.pipeline(
    name="workspace",
    pipeline_config=dsl.PipelineConfig(
        workspace=dsl.WorkspaceConfig(
            size="1Gi",
            kubernetes=dsl.KubernetesWorkspaceConfig(
                pvcSpecPatch={"accessModes": ["ReadWriteMany"], "storageClassName": "standard"}
            ),
        ),
    ),
)
def pipeline(uri: str, text: str = "kept"):
    written = write(folder=dsl.WORKSPACE_PATH_PLACEHOLDER, text=text)
    read(folder=dsl.WORKSPACE_PATH_PLACEHOLDER).after(written)
    data = dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset, download_to_workspace=True)
    size(data=data.output)
