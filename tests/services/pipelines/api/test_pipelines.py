"""Pipelines and their versions: what is uploaded can be looked up, and what makes no sense is refused."""

import gzip
import io
import json
import tarfile
import zipfile
from collections.abc import Callable

from tests.services.pipelines.api.conftest import Server, refused

Golden = Callable[[str], bytes]


def zipped(name: str, data: bytes, *more: str) -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in (name, *more):
            archive.writestr(each, data)
    return packed.getvalue()


def tarred(name: str, data: bytes, link: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        entry = tarfile.TarInfo(name)
        entry.size = 0 if link else len(data)
        entry.type, entry.linkname = (tarfile.SYMTYPE, link) if link else (tarfile.REGTYPE, "")
        archive.addfile(entry, io.BytesIO(data))
    return packed.getvalue()


async def test_the_same_pipeline_comes_as_yaml_zip_and_tar(server: Server, golden: Golden):
    package = golden("parameters")
    made = (await server.upload("/pipelines/upload", package, name="first", tags='{"team": "blue"}')).json()
    assert (made["name"], made["namespace"], made["tags"]) == ("first", "default", {"team": "blue"})
    for number, packed in enumerate((zipped("a.yaml", package), tarred("pipeline.yaml", package))):
        name = f"v{number}"
        answer = await server.upload("/pipelines/upload_version", packed, name=name, pipelineid=made["pipeline_id"])
        assert answer.json()["display_name"] == name
    found = await server.get(f"/pipelines/{made['pipeline_id']}/versions", sort_by="created_at desc")
    specs = [version["pipeline_spec"] for version in found["pipeline_versions"]]
    assert found["total_size"] == 3
    assert specs[0] == specs[1] == specs[2] and specs[0]["pipelineInfo"]["name"] == "parameters"
    assert (await server.said())[:2] == ["pipelines.pipeline.created.v1", "pipelines.pipelineversion.created.v1"]


async def test_a_document_about_platforms_comes_back_with_the_pipeline(server: Server, golden: Golden):
    made = (await server.upload("/pipelines/upload", golden("kubernetes"))).json()
    [version] = (await server.get(f"/pipelines/{made['pipeline_id']}/versions"))["pipeline_versions"]
    assert set(version["pipeline_spec"]) == {"pipeline_spec", "platform_spec"}
    assert made["display_name"] == "kubernetes", "called as its author called it"


async def test_a_pipeline_is_found_by_name_changed_and_deleted_with_its_versions(server: Server, golden: Golden):
    made = (await server.upload("/pipelines/upload", golden("parameters"), name="one", display_name="One")).json()
    id = made["pipeline_id"]
    assert (await server.get("/pipelines/names/one"))["pipeline_id"] == id
    await server.http.patch(f"/pipelines/{id}", json={"description": "new"})
    found = await server.get(f"/pipelines/{id}")
    assert (found["description"], found["display_name"]) == ("new", "One")
    status, code, told = refused(await server.http.delete(f"/pipelines/{id}"))
    assert (status, code) == (400, 9) and "1 versions" in told
    await server.delete(f"/pipelines/{id}", cascade=True)
    assert refused(await server.http.get(f"/pipelines/{id}"))[:2] == (404, 5)
    async with server.means.look() as needs:
        assert await needs.catalog.document("sha256:") is None
    assert (await server.said())[-2:] == ["pipelines.pipelineversion.deleted.v1", "pipelines.pipeline.deleted.v1"]


async def test_a_pipeline_and_its_version_can_come_in_one_request(server: Server, golden: Golden):
    made = (await server.upload("/pipelines/upload", golden("parameters"), name="one")).json()
    [version] = (await server.get(f"/pipelines/{made['pipeline_id']}/versions"))["pipeline_versions"]
    body = {
        "pipeline": {"display_name": "two", "namespace": "team-a"},
        "pipeline_version": {"pipeline_spec": version["pipeline_spec"]},
    }
    other = await server.post("/pipelines/create", body)
    assert (other["name"], other["namespace"]) == ("two", "team-a")
    [copied] = (await server.get(f"/pipelines/{other['pipeline_id']}/versions"))["pipeline_versions"]
    assert copied["pipeline_spec"] == version["pipeline_spec"]
    url = {"display_name": "v", "package_url": {"pipeline_url": "http://169.254.169.254/"}}
    answer = await server.http.post(f"/pipelines/{other['pipeline_id']}/versions", json=url)
    assert "nothing is fetched from other places" in refused(answer)[2]


BOMB = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 9)
)
REFUSED = {
    "a name that leads out of the archive": (tarred("../../etc/x.yaml", b"root: {}"), "leads out of it"),
    "an absolute name": (zipped("/etc/x.yaml", b"root: {}"), "leads out of it"),
    "a link": (tarred("x.yaml", b"", link="/etc/passwd"), "is a link"),
    "a zip bomb": (zipped("x.yaml", b" " * 17_000_000), "more than 16777216 bytes"),
    "a gzip bomb beside the pipeline": (tarred("x.bin", b"\0" * 40_000_000), "unpacks to more than"),
    "aliases that blow up": (BOMB.encode(), "more than 2000000 values"),
    "an alias of itself": (b"root: &a {b: *a}", "leads back to itself"),
    "no pipeline in the archive": (zipped("readme.txt", b"hello"), "no YAML file"),
    "two pipelines in the archive": (zipped("a.yaml", b"", "b.yaml"), "2 YAML files"),
    "a broken archive": (gzip.compress(b"x")[:-4], "the archive is damaged"),
    "no YAML": (b"root: [", "not YAML"),
    "no text": (b"\xff\xfe\x00", "not a text in UTF-8"),
    "a workflow of kfp 1": (b"apiVersion: argoproj.io/v1alpha1\nkind: Workflow\n", "compiled by kfp 1"),
    "a pipeline without a root": (b"pipelineInfo: {name: x}\n", "root: missing"),
    "an unknown field": (b"root: {dag: {}}\npipelineinfo: {name: x}\n", "pipelineinfo"),
    "a component that is not there": (
        b"pipelineInfo: {name: x}\nschemaVersion: 2.1.0\n"
        b"root: {dag: {tasks: {a: {componentRef: {name: gone}, taskInfo: {name: a}}}}}\n",
        "gone",
    ),
}


async def test_what_is_no_pipeline_is_refused_with_the_reason(server: Server):
    for case, (package, reason) in REFUSED.items():
        status, _, told = refused(await server.upload("/pipelines/upload", package, name="x"))
        assert status in (400, 413) and reason in told, case
    assert await server.said() == [], "nothing was stored"


async def test_a_form_without_the_file_and_a_taken_name_are_refused(server: Server, golden: Golden):
    answer = await server.http.post("/pipelines/upload", content=b"root: {}", headers={"content-type": "text/yaml"})
    assert "multipart/form-data" in refused(answer)[2]
    answer = await server.http.post("/pipelines/upload", files={"other": ("x", b"root: {}")})
    assert "no such file" in refused(answer)[2]
    await server.upload("/pipelines/upload", golden("parameters"), name="one")
    assert refused(await server.upload("/pipelines/upload", golden("parameters"), name="one"))[:2] == (409, 6)
    answer = await server.upload("/pipelines/upload", golden("parameters"), name="one", namespace="team-a")
    assert answer.status_code == 200, "a name is taken in one namespace only"
    answer = await server.upload("/pipelines/upload", golden("parameters"), name="two", namespace="Team A")
    assert "namespace: 'Team A'" in refused(answer)[2]
    assert "tags" in refused(await server.upload("/pipelines/upload", golden("parameters"), name="x", tags="[1]"))[2]


async def test_a_body_that_is_not_what_it_should_be_names_the_field(server: Server):
    answer = await server.http.post("/experiments", content=b"{", headers={"content-type": "application/json"})
    assert refused(answer)[:2] == (400, 3) and "not JSON" in refused(answer)[2]
    answer = await server.http.post("/experiments", json={"display_name": 3})
    [violation] = json.loads(answer.text)["details"][0]["field_violations"]
    assert violation["field"] == "display_name"
