"""A task's own settings given to its program, which starts the work elsewhere, and a file embedded in a component."""

from pathlib import Path

from kfp import dsl, kubernetes


@dsl.component(
    base_image="python:3.11",
    task_config_passthroughs=[
        dsl.TaskConfigField.RESOURCES,
        dsl.TaskConfigField.KUBERNETES_TOLERATIONS,
        dsl.TaskConfigField.KUBERNETES_NODE_SELECTOR,
        dsl.TaskConfigPassthrough(field=dsl.TaskConfigField.ENV, apply_to_task=True),
    ],
)
def submit(text: str, config: dsl.TaskConfig) -> str:
    return f"{text} {config.resources} {config.env} {config.tolerations} {config.node_selector}"


@dsl.component(base_image="python:3.11", embedded_artifact_path=str(Path(__file__).parent / "embedded.txt"))
def embedded(words: dsl.EmbeddedInput[dsl.Dataset]) -> str:
    with open(words.path) as file:
        return file.read().strip()


@dsl.pipeline(name="passthrough")
def pipeline(text: str = "elsewhere"):
    given = submit(text=text).set_cpu_limit("1").set_memory_limit("256Mi").set_env_variable("GREETING", "hello")
    kubernetes.add_toleration(given, key="spot", operator="Exists")
    kubernetes.add_node_selector(given, "kubernetes.io/os", "linux")
    embedded()
