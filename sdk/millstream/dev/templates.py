"""The texts that the scaffold writes."""

from __future__ import annotations

APP = '''"""The {name} service put together: this is the one place that knows all its parts."""

from __future__ import annotations

from pathlib import Path

from libs.service.app import App
from libs.service.manifest import load


def build() -> App:
    """The parts of the service; opens nothing."""
    return App(manifest=load(Path(__file__).parent / "service.yaml"))
'''

MAIN = '''"""`python -m services.{name}`: the service as a process, told what to do by MILLSTREAM_* variables."""

from libs.service import run
from services.{name}.app import build

if __name__ == "__main__":
    run(build)
'''

MANIFEST = """name: {name}
port: 8080
owns: []
says: []
hears: []
needs: [store]
creates: []
routes: []
"""

TEST = '''"""The {name} service starts from its manifest."""

from services.{name}.app import build


def test_the_manifest_names_the_service() -> None:
    assert build().manifest.name == "{name}"
'''

KUSTOMIZATION = """apiVersion: kustomize.config.k8s.io/v1beta1
kind: Kustomization
resources:
  - service.yaml
  - serviceaccount.yaml
  - deployment.yaml
"""

ACCOUNT = """apiVersion: v1
kind: ServiceAccount
metadata:
  name: {name}
  labels: {{app.kubernetes.io/name: {name}, app.kubernetes.io/part-of: millstream}}
"""

SERVICE = """apiVersion: v1
kind: Service
metadata:
  name: {name}
  labels: {{app.kubernetes.io/name: {name}, app.kubernetes.io/part-of: millstream}}
spec:
  selector: {{app.kubernetes.io/name: {name}}}
  ports:
    - {{name: http, port: 8080, targetPort: http}}
"""

DEPLOYMENT = """apiVersion: apps/v1
kind: Deployment
metadata:
  name: {name}
  labels: {{app.kubernetes.io/name: {name}, app.kubernetes.io/part-of: millstream, millstream.dev/store: "true"}}
spec:
  replicas: 1
  selector: {{matchLabels: {{app.kubernetes.io/name: {name}}}}}
  template:
    metadata:
      labels: {{app.kubernetes.io/name: {name}, app.kubernetes.io/part-of: millstream}}
    spec:
      serviceAccountName: {name}
      terminationGracePeriodSeconds: 20
      containers:
        - name: {name}
          image: millstream/{name}
          command: [python, -m, services.{name}]
          ports:
            - {{name: http, containerPort: 8080}}
          envFrom:
            - configMapRef: {{name: millstream-config}}
            - secretRef: {{name: millstream-{name}}}
          env:
            - {{name: MILLSTREAM_SERVICE, value: {name}}}
            - {{name: MILLSTREAM_PORT, value: "8080"}}
            - name: MILLSTREAM_HOST
              valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}
            - name: MILLSTREAM_REPLICA
              valueFrom: {{fieldRef: {{fieldPath: metadata.uid}}}}
          readinessProbe:
            httpGet: {{path: /readyz, port: http}}
            periodSeconds: 5
            failureThreshold: 3
          livenessProbe:
            httpGet: {{path: /livez, port: http}}
            periodSeconds: 20
            timeoutSeconds: 5
            failureThreshold: 3
"""

KIND = '''"""{kind} ({group}/{version}): the fields that clients send and read."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

GROUP, VERSION = "{group}", "{version}"


class {kind}Spec(BaseModel):
    """What the user asks for."""

    model_config = ConfigDict(populate_by_name=True)


class {kind}Status(BaseModel):
    """What is true."""

    model_config = ConfigDict(populate_by_name=True)

    observed_generation: int | None = Field(default=None, alias="observedGeneration")


class {kind}(BaseModel):
    """One {kind}."""

    model_config = ConfigDict(populate_by_name=True)

    api_version: str = Field(default="{group}/{version}", alias="apiVersion")
    kind: str = "{kind}"
    metadata: dict[str, object]
    spec: {kind}Spec
    status: {kind}Status | None = None


KINDS = ({kind},)
'''


def service_files(name: str) -> dict[str, str]:
    """Path -> text of everything that a new service consists of."""
    room, base = f"services/{name}", f"deploy/base/{name}"
    texts = {
        f"{room}/__init__.py": '"""The {name} service."""\n',
        f"{room}/__main__.py": MAIN,
        f"{room}/app.py": APP,
        f"{room}/service.yaml": MANIFEST,
        f"{room}/domain/__init__.py": '"""States and decisions of {name}: pure functions over frozen values."""\n',
        f"tests/services/{name}/__init__.py": "",
        f"tests/services/{name}/test_app.py": TEST,
        f"{base}/kustomization.yaml": KUSTOMIZATION,
        f"{base}/serviceaccount.yaml": ACCOUNT,
        f"{base}/service.yaml": SERVICE,
        f"{base}/deployment.yaml": DEPLOYMENT,
    }
    return {path: text if text == KUSTOMIZATION else text.format(name=name) for path, text in texts.items()}


def class_name(noun: str, verb: str) -> str:
    """`trainjob`, `paused` -> `TrainjobPaused` (the author corrects the capitals of compounds)."""
    return noun.capitalize() + verb.capitalize()


def event_module(domain: str, version: str) -> str:
    return (
        f'"""What is said about {domain}, version {version}: only optional fields are ever added here."""\n\n'
        "from typing import ClassVar\n\nfrom contracts.messages import ObjectEvent\n"
    )


def event_class(type: str, name: str) -> str:
    return f'\n\nclass {name}(ObjectEvent):\n    """{name}."""\n\n    type: ClassVar[str] = "{type}"\n'


def kind_module(kind: str, group: str, version: str) -> str:
    return KIND.format(kind=kind, group=group, version=version)


def plural(kind: str) -> str:
    """The plural as Kubernetes would spell it."""
    word = kind.lower()
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "z", "ch", "sh")) else "s")
