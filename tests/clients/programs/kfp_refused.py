"""Bad input given with kfp.Client: what it is told, and that nothing of it has begun."""

import copy
import io
import json
import tarfile
import tempfile
import zipfile
from pathlib import Path

import kfp
import kfp_server_api
import yaml
from kfp import compiler, dsl

client, told = kfp.Client(), {}


@dsl.component(base_image="python:3.11")
def add(a: int, b: int) -> int:
    return a + b


@dsl.component(base_image="python:3.11")
def size(data: dsl.Input[dsl.Dataset]):
    print(data.uri)


@dsl.pipeline(name="refused")
def pipeline(a: int, text: str = "x"):
    add(a=add(a=a, b=1).output, b=1)


@dsl.pipeline(name="imports")
def imports(uri: str):
    size(data=dsl.importer(artifact_uri=uri, artifact_class=dsl.Dataset).output)


folder = Path(tempfile.mkdtemp())
package = folder / "good.yaml"
compiler.Compiler().compile(pipeline, str(package))
good = yaml.safe_load(package.read_text())


def said(call):
    try:
        call()
    except kfp_server_api.ApiException as error:
        return f"{error.status} {json.loads(error.body)['message']}"
    return "taken"


def changed(name, change):
    spec = copy.deepcopy(good)
    change(spec)
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(spec))
    return said(lambda: client.create_run_from_pipeline_package(str(folder / f"{name}.yaml"), {"a": 1}))


def run(**arguments):
    return said(lambda: client.create_run_from_pipeline_package(str(package), arguments))


def uploaded(name, data):
    (folder / name).write_bytes(data)
    return said(lambda: client.upload_pipeline(str(folder / name), name.replace(".", "-")))


def tasks(spec):
    return spec["root"]["dag"]["tasks"]


def zipped(name, data):
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, data)
    return whole.getvalue()


def tarred(name, data):
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as archive:
        member = tarfile.TarInfo(name)
        member.size = len(data)
        archive.addfile(member, io.BytesIO(data))
    return whole.getvalue()


before = client.list_runs(page_size=1).total_size or 0
told["cycle"] = changed("cycle", lambda spec: tasks(spec)["add"].update(dependentTasks=["add-2"]))
told["component"] = changed("component", lambda spec: tasks(spec)["add"]["componentRef"].update(name="comp-nobody"))
told["executor"] = changed("executor", lambda spec: spec["components"]["comp-add"].update(executorLabel="exec-nobody"))
told["input"] = changed("input", lambda spec: tasks(spec)["add-2"]["inputs"]["parameters"].pop("b"))
told["type"] = run(a="many")
told["missing"] = run()
told["unknown"] = run(a=1, other=2)
told["oversized"] = run(a=1, text="x" * 3_000_000)
told["traversal"] = uploaded("traversal.tar.gz", tarred("../../pipeline.yaml", package.read_bytes()))
told["bomb"] = uploaded("bomb.zip", zipped("pipeline.yaml", b"a" * 300_000_000))
told["no archive"] = uploaded("none.zip", b"no archive at all")
told["not yaml"] = uploaded("none.yaml", b"{unclosed: [")
told["good zip"] = uploaded("good.zip", zipped("pipeline.yaml", package.read_bytes()))
told["good tar"] = uploaded("good.tar.gz", tarred("pipeline.yaml", package.read_bytes()))
other = {"uri": "s3://millstream/pipelines/another/secret.txt"}
told["namespace"] = said(lambda: client.create_run_from_pipeline_func(imports, other))
told["root"] = said(lambda: client.create_run_from_pipeline_package(
    str(package), {"a": 1}, pipeline_root="s3://millstream/pipelines/another"
))  # fmt: skip
told["begun"] = (client.list_runs(page_size=1).total_size or 0) - before
print("RESULT " + json.dumps(told))
