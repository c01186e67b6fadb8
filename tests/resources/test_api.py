"""The API conventions over HTTP: what clients other than kubectl rely on, and what bad input gets."""

import asyncio
import json
from typing import Any

import httpx
import pytest
import yaml

from libs.base import NotFound
from libs.resources import Resources
from libs.testing.resources import CONFIGMAP, GADGET, GROUP, HELD, POD, WIDGET, thing, widget

WIDGETS = f"/apis/{GROUP}/v1/namespaces/default/widgets"
MERGE = {"content-type": "application/merge-patch+json"}
APPLY = {"content-type": "application/apply-patch+yaml"}


async def make(http: httpx.AsyncClient, name: str = "one", **spec: Any) -> Any:
    answer = await http.post(WIDGETS, json=widget(name, **spec))
    assert answer.status_code == 201, answer.text
    return answer.json()


async def test_a_created_object_comes_back_with_its_metadata(http: httpx.AsyncClient) -> None:
    made = (await make(http))["metadata"]
    assert made["uid"] and made["creationTimestamp"].endswith("Z") and made["generation"] == 1
    assert int(made["resourceVersion"]) > 0
    assert (await http.get(f"{WIDGETS}/one")).json()["metadata"] == made


async def test_generate_name_makes_different_names(http: httpx.AsyncClient) -> None:
    body = {"metadata": {"generateName": "run-"}, "spec": {"size": 1}}
    names = {(await http.post(WIDGETS, json=body)).json()["metadata"]["name"] for _ in range(5)}
    assert len(names) == 5 and all(n.startswith("run-") and len(n) == 9 for n in names)


async def test_numbers_are_kept_as_they_were_sent(http: httpx.AsyncClient) -> None:
    await make(http, size=3, ratio=1.0, anything={"whole": 1, "real": 1.0, "big": 2**53 + 1})
    text = (await http.get(f"{WIDGETS}/one")).text
    assert '"size":3,' in text and '"ratio":1.0' in text
    assert '"whole":1,' in text and '"real":1.0' in text and str(2**53 + 1) in text


async def test_a_body_may_be_yaml_and_so_may_an_answer(http: httpx.AsyncClient) -> None:
    text = yaml.safe_dump(widget("yaml", size=5))
    made = await http.post(WIDGETS, content=text, headers={"content-type": "application/yaml"})
    assert made.status_code == 201 and made.json()["spec"]["size"] == 5
    told = await http.get(f"{WIDGETS}/yaml", headers={"accept": "application/yaml"})
    assert yaml.safe_load(told.text)["spec"] == {"size": 5}


async def test_status_is_written_only_through_its_subresource(http: httpx.AsyncClient) -> None:
    made = await make(http)
    sneaky = await http.patch(f"{WIDGETS}/one", json={"status": {"phase": "Done"}, "spec": {"size": 2}}, headers=MERGE)
    assert "status" not in sneaky.json() and sneaky.json()["metadata"]["generation"] == 2
    body = {"status": {"phase": "Done"}, "spec": {"size": 99}}
    told = (await http.patch(f"{WIDGETS}/one/status", json=body, headers=MERGE)).json()
    assert told["status"] == {"phase": "Done"} and told["spec"]["size"] == 2 and told["metadata"]["generation"] == 2
    assert int(told["metadata"]["resourceVersion"]) > int(made["metadata"]["resourceVersion"])
    put = (await http.put(f"{WIDGETS}/one", json=widget("one", size=2))).json()
    assert put["status"] == {"phase": "Done"}


async def test_a_stale_write_is_a_conflict_and_a_write_of_nothing_is_none(http: httpx.AsyncClient) -> None:
    made = await make(http)
    same = await http.put(f"{WIDGETS}/one", json=made)
    assert same.json()["metadata"]["resourceVersion"] == made["metadata"]["resourceVersion"]
    await http.patch(f"{WIDGETS}/one", json={"spec": {"size": 2}}, headers=MERGE)
    stale = await http.put(f"{WIDGETS}/one", json=made)
    assert stale.status_code == 409 and stale.json()["reason"] == "Conflict"


async def test_labels_select_with_sets_and_spaces(http: httpx.AsyncClient) -> None:
    for name, labels in {"a": {"tier": "x", "app": "1"}, "b": {"tier": "y"}, "c": {}}.items():
        obj = widget(name)
        obj["metadata"]["labels"] = labels
        assert (await http.post(WIDGETS, json=obj)).status_code == 201

    async def names(**query: str) -> list[str]:
        answer = await http.get(WIDGETS, params=query)
        return [i["metadata"]["name"] for i in answer.json()["items"]]

    assert await names(labelSelector="tier in (x, y)") == ["a", "b"]
    assert await names(labelSelector="tier in (x, y),app=1") == ["a"]
    assert await names(labelSelector="tier notin (x)") == ["b", "c"]
    assert await names(labelSelector="app") == ["a"]
    assert await names(labelSelector="!tier") == ["c"]
    assert await names(labelSelector="tier!=x") == ["b", "c"]
    assert await names(fieldSelector="metadata.name=b") == ["b"]
    assert await names(fieldSelector="metadata.name!=b,metadata.namespace=default") == ["a", "c"]


async def test_pages_together_are_the_list(http: httpx.AsyncClient) -> None:
    for n in range(7):
        await make(http, f"w{n}")
    seen, token, versions = [], "", set()
    while True:
        page = (await http.get(WIDGETS, params={"limit": 3, **({"continue": token} if token else {})})).json()
        seen += [i["metadata"]["name"] for i in page["items"]]
        versions.add(page["metadata"]["resourceVersion"])
        token = page["metadata"].get("continue", "")
        if not token:
            break
    assert seen == [f"w{n}" for n in range(7)] and len(versions) == 1
    assert (await http.get(WIDGETS, params={"continue": "nonsense"})).status_code == 400


async def test_an_unknown_field_is_an_error_a_warning_or_silence(http: httpx.AsyncClient) -> None:
    body = widget("odd", sise=1)
    strict = await http.post(WIDGETS, params={"fieldValidation": "Strict"}, json=body)
    assert strict.status_code == 400 and 'unknown field "spec.sise"' in strict.json()["message"]
    warned = await http.post(WIDGETS, params={"fieldValidation": "Warn", "dryRun": "All"}, json=body)
    assert warned.status_code == 201 and warned.headers["warning"] == '299 - "unknown field \\"spec.sise\\""'
    silent = await http.post(WIDGETS, params={"fieldValidation": "Ignore"}, json=body)
    assert "warning" not in silent.headers and "sise" not in silent.json()["spec"]


async def test_a_field_given_twice_is_named(http: httpx.AsyncClient) -> None:
    text = '{"metadata":{"name":"twice"},"spec":{"size":1,"size":2}}'
    headers = {"content-type": "application/json"}
    strict = await http.post(WIDGETS, params={"fieldValidation": "Strict"}, content=text, headers=headers)
    assert strict.status_code == 400 and 'duplicate field "size"' in strict.json()["message"]


async def test_an_invalid_object_names_field_value_and_remedy(http: httpx.AsyncClient) -> None:
    body = widget("Bad_Name", size="large", colour="pink")
    told = (await http.post(WIDGETS, json=body)).json()
    causes = {c["field"]: c["message"] for c in told["details"]["causes"]}
    assert told["code"] == 422 and told["reason"] == "Invalid" and told["details"]["kind"] == "Widget"
    assert "'Bad_Name'" in causes["metadata.name"] and "lowercase RFC 1123" in causes["metadata.name"]
    assert '"large"' in causes["spec.size"] and "'red', 'green' or 'blue'" in causes["spec.colour"]


BAD: dict[str, tuple[str, str, dict[str, Any], int]] = {
    "malformed JSON": ("POST", WIDGETS, {"content": "{", "headers": {"content-type": "application/json"}}, 400),
    "malformed YAML": ("POST", WIDGETS, {"content": "a: [", "headers": {"content-type": "application/yaml"}}, 400),
    "a YAML tag": ("POST", WIDGETS, {"content": "!!python/x 1", "headers": {"content-type": "application/yaml"}}, 400),
    "a list": ("POST", WIDGETS, {"json": []}, 400),
    "a number": ("POST", WIDGETS, {"json": 7}, 400),
    "metadata that is text": ("POST", WIDGETS, {"json": {"metadata": "x"}}, 400),
    "labels that are a list": ("POST", WIDGETS, {"json": {"metadata": {"name": "a", "labels": []}, "spec": {}}}, 422),
    "a label that is a number": (
        "POST",
        WIDGETS,
        {"json": {"metadata": {"name": "a", "labels": {"a": 1}}, "spec": {}}},
        422,
    ),
    "no name": ("POST", WIDGETS, {"json": {"spec": {}}}, 422),
    "a name that is a number": ("POST", WIDGETS, {"json": {"metadata": {"name": 5}, "spec": {}}}, 422),
    "another kind": ("POST", WIDGETS, {"json": {"kind": "Gadget", "metadata": {"name": "a"}}}, 400),
    "another namespace": ("POST", WIDGETS, {"json": widget("a", "other")}, 400),
    "an unknown media type": ("POST", WIDGETS, {"content": "x", "headers": {"content-type": "text/html"}}, 415),
    "protobuf": (
        "POST",
        WIDGETS,
        {"content": "k8s", "headers": {"content-type": "application/vnd.kubernetes.protobuf"}},
        415,
    ),
    "too large a body": ("POST", WIDGETS, {"content": b"x" * (3 * 1024 * 1024 + 1)}, 413),
    "deep nesting": ("POST", WIDGETS, {"content": "[" * 900 + "]" * 900}, 400),
    "an unknown plural": ("GET", f"/apis/{GROUP}/v1/nothings", {}, 404),
    "an unknown subresource": ("GET", f"{WIDGETS}/held/nothing", {}, 404),
    "an unknown path": ("GET", "/nowhere", {}, 404),
    "a method that is not there": ("PUT", WIDGETS, {"json": {}}, 405),
    "a post to all namespaces": ("POST", f"/apis/{GROUP}/v1/widgets", {"json": widget("a")}, 405),
    "a limit that is text": ("GET", f"{WIDGETS}?limit=many", {}, 400),
    "a negative limit": ("GET", f"{WIDGETS}?limit=-1", {}, 400),
    "a selector nobody can read": ("GET", f"{WIDGETS}?labelSelector=a%20in%20(b", {}, 400),
    "a field selector nobody can read": ("GET", f"{WIDGETS}?fieldSelector=abc", {}, 400),
    "a version that is text": ("GET", f"{WIDGETS}?watch=1&resourceVersion=abc", {}, 400),
    "a version of the future": ("GET", f"{WIDGETS}?watch=1&resourceVersion=999999", {}, 410),
    "a boolean that is none": ("GET", f"{WIDGETS}?watch=maybe", {}, 400),
    "an unknown dryRun": ("POST", f"{WIDGETS}?dryRun=Some", {"json": widget("a")}, 422),
    "an unknown validation": ("POST", f"{WIDGETS}?fieldValidation=Lax", {"json": widget("a")}, 400),
    "an answer nobody can give": ("GET", WIDGETS, {"headers": {"accept": "image/png"}}, 406),
    "a strategic patch of a custom kind": (
        "PATCH",
        f"{WIDGETS}/there",
        {"json": {}, "headers": {"content-type": "application/strategic-merge-patch+json"}},
        415,
    ),
    "a JSON patch that is an object": (
        "PATCH",
        f"{WIDGETS}/there",
        {"json": {}, "headers": {"content-type": "application/json-patch+json"}},
        400,
    ),
    "an apply without a manager": ("PATCH", f"{WIDGETS}/there", {"json": widget("there"), "headers": APPLY}, 400),
    "a merge patch that is a list": ("PATCH", f"{WIDGETS}/there", {"json": [], "headers": MERGE}, 400),
    "a merge patch of metadata to null": (
        "PATCH",
        f"{WIDGETS}/there",
        {"json": {"metadata": None}, "headers": MERGE},
        200,
    ),
    "a merge patch of spec to text": ("PATCH", f"{WIDGETS}/there", {"json": {"spec": "x"}, "headers": MERGE}, 422),
    "a JSON patch whose copies double": (
        "PATCH",
        f"{WIDGETS}/there",
        {
            "json": [
                {"op": "add", "path": "/spec/a", "value": ["x"] * 10},
                *[{"op": "copy", "from": "/spec", "path": "/spec/a/-"}] * 40,
            ],
            "headers": {"content-type": "application/json-patch+json"},
        },
        400,
    ),
    "a JSON patch that digs": (
        "PATCH",
        f"{WIDGETS}/there",
        {
            "json": [{"op": "add", "path": "/spec" + "/a" * depth, "value": {}} for depth in range(1, 300)],
            "headers": {"content-type": "application/json-patch+json"},
        },
        400,
    ),
    "a NUL in a text": ("POST", WIDGETS, {"json": widget("a") | {"spec": {"size": 1, "note": "a\0b"}}}, 400),
    "a NUL in a key": ("POST", WIDGETS, {"json": widget("a") | {"spec": {"a\0b": 1}}}, 400),
    "a field that no object has": ("GET", f"{WIDGETS}?fieldSelector=colour%3Dred", {}, 400),
    "a list of the future": ("GET", f"{WIDGETS}?resourceVersion=999999", {}, 410),
    "an unknown match": ("GET", f"{WIDGETS}?resourceVersion=1&resourceVersionMatch=Roughly", {}, 400),
    "a match with nothing to match": ("GET", f"{WIDGETS}?resourceVersionMatch=Exact", {}, 400),
    "delete options that are a list": ("DELETE", f"{WIDGETS}/there", {"json": [1]}, 400),
    "an unknown propagation": ("DELETE", f"{WIDGETS}/there", {"json": {"propagationPolicy": "Never"}}, 400),
    "a NUL in a name": ("GET", f"{WIDGETS}/a%00b", {}, 404),
    "a scale that is text": (
        "PATCH",
        f"{WIDGETS}/there/scale",
        {"json": {"spec": {"replicas": "x"}}, "headers": MERGE},
        422,
    ),
}


async def test_bad_input_gets_a_clear_answer(http: httpx.AsyncClient) -> None:
    await make(http, "there")
    wrong = {case: told for case, request in BAD.items() if (told := await _complaint(http, *request))}
    assert wrong == {}


async def _complaint(http: httpx.AsyncClient, method: str, url: str, options: dict[str, Any], code: int) -> str:
    if "json" in options:
        headers = {"content-type": "application/json", **options.get("headers", {})}
        answer = await http.request(method, url, content=json.dumps(options["json"]), headers=headers)
    else:
        answer = await http.request(method, url, **options)
    if answer.status_code != code:
        return f"{answer.status_code} instead of {code}: {answer.text}"
    status = answer.json() if code >= 400 else {"kind": "Status", "code": code, "message": "-"}
    return "" if (status["kind"], status["code"]) == ("Status", code) and status["message"] else answer.text


async def test_yaml_that_unfolds_without_end_is_refused(http: httpx.AsyncClient) -> None:
    bomb = "a0: &a0 [x,x,x,x,x,x,x,x,x]\n" + "".join(
        f"a{n}: &a{n} [{','.join([f'*a{n - 1}'] * 9)}]\n" for n in range(1, 12)
    )
    answer = await http.post(WIDGETS, content=bomb, headers={"content-type": "application/yaml"})
    assert answer.status_code == 400 and "unfolds" in answer.json()["message"]


async def test_a_finalizer_holds_an_object_until_it_is_let_go(http: httpx.AsyncClient, resources: Resources) -> None:
    await resources.create(HELD, thing(HELD, "held"))
    url = f"/apis/{GROUP}/v1/namespaces/default/helds/held"
    marked = (await http.delete(url)).json()
    assert marked["metadata"]["deletionTimestamp"] and marked["metadata"]["finalizers"] == [f"{GROUP}/hold"]
    more = {"metadata": {"finalizers": [f"{GROUP}/hold", "a.b/late"]}}
    assert (await http.patch(url, json=more, headers=MERGE)).status_code == 422
    assert (await http.delete(url)).json()["metadata"]["deletionTimestamp"] == marked["metadata"]["deletionTimestamp"]
    assert (await http.patch(url, json={"metadata": {"finalizers": None}}, headers=MERGE)).status_code == 200
    assert (await http.get(url)).status_code == 404


async def test_preconditions_protect_another_object_of_the_same_name(http: httpx.AsyncClient) -> None:
    made = await make(http)
    wrong = await http.request("DELETE", f"{WIDGETS}/one", json={"preconditions": {"uid": "other"}})
    assert wrong.status_code == 409
    right = await http.request("DELETE", f"{WIDGETS}/one", json={"preconditions": {"uid": made["metadata"]["uid"]}})
    assert right.json()["status"] == "Success" and right.json()["details"]["uid"] == made["metadata"]["uid"]


async def test_delete_collection_takes_what_matches(http: httpx.AsyncClient) -> None:
    for name in ("a", "b"):
        await make(http, name)
    gone = await http.delete(WIDGETS, params={"fieldSelector": "metadata.name=a"})
    assert [i["metadata"]["name"] for i in gone.json()["items"]] == ["a"]
    assert len((await http.get(WIDGETS)).json()["items"]) == 1


async def test_dry_run_answers_and_stores_nothing(http: httpx.AsyncClient) -> None:
    made = await make(http)
    assert (await http.post(f"{WIDGETS}?dryRun=All", json=widget("never"))).status_code == 201
    tried = await http.patch(f"{WIDGETS}/one?dryRun=All", json={"spec": {"size": 50}}, headers=MERGE)
    assert tried.json()["spec"]["size"] == 50
    assert (await http.delete(f"{WIDGETS}/one?dryRun=All")).status_code == 200
    applied = await http.patch(f"{WIDGETS}/new?dryRun=All&fieldManager=m", json=widget("new"), headers=APPLY)
    assert applied.status_code == 201
    left = (await http.get(WIDGETS)).json()["items"]
    assert [i["metadata"] for i in left] == [made["metadata"]]


async def test_apply_removes_what_its_manager_no_longer_names(http: httpx.AsyncClient) -> None:
    def body(**spec: Any) -> Any:
        return {"apiVersion": f"{GROUP}/v1", "kind": "Widget", "metadata": {"name": "w"}, "spec": spec}

    async def apply(manager: str, obj: Any, **query: str) -> httpx.Response:
        return await http.patch(f"{WIDGETS}/w", params={"fieldManager": manager, **query}, json=obj, headers=APPLY)

    first = await apply(
        "a", body(size=1, options={"x": "1", "y": "2"}, parts=[{"name": "p", "weight": 1}, {"name": "q"}])
    )
    assert first.status_code == 201
    second = await apply("b", body(options={"z": "3"}, parts=[{"name": "r", "weight": 9}]))
    assert second.json()["spec"]["options"] == {"x": "1", "y": "2", "z": "3"}
    assert [p["name"] for p in second.json()["spec"]["parts"]] == ["p", "q", "r"]
    third = (await apply("a", body(size=1, options={"x": "1"}, parts=[{"name": "q"}]))).json()
    assert third["spec"]["options"] == {"x": "1", "z": "3"}
    assert [p["name"] for p in third["spec"]["parts"]] == ["q", "r"]
    clash = await apply("b", body(size=2))
    assert clash.status_code == 409 and clash.json()["reason"] == "Conflict"
    assert clash.json()["details"]["causes"] == [
        {"reason": "FieldManagerConflict", "message": f'conflict with "a" using {GROUP}/v1', "field": ".spec.size"}
    ]
    forced = (await apply("b", body(size=2), force="true")).json()
    assert forced["spec"]["size"] == 2 and "z" not in forced["spec"]["options"]
    again = (await apply("b", body(size=2))).json()
    assert again["metadata"]["resourceVersion"] == forced["metadata"]["resourceVersion"]


async def test_a_strategic_patch_merges_containers_by_name(http: httpx.AsyncClient, resources: Resources) -> None:
    spec = {
        "containers": [{"name": "a", "image": "x", "env": [{"name": "K", "value": "1"}]}, {"name": "b", "image": "y"}]
    }
    await resources.create(POD, thing(POD, "p", spec=spec))
    patch = {
        "spec": {"containers": [{"name": "a", "env": [{"name": "L", "value": "2"}]}, {"name": "b", "$patch": "delete"}]}
    }
    headers = {"content-type": "application/strategic-merge-patch+json"}
    told = (await http.patch("/api/v1/namespaces/default/pods/p", json=patch, headers=headers)).json()
    env = [{"name": "K", "value": "1"}, {"name": "L", "value": "2"}]
    assert told["spec"]["containers"] == [{"name": "a", "image": "x", "env": env}]


async def test_partial_metadata_and_tables_leave_the_rest_out(http: httpx.AsyncClient) -> None:
    await make(http, size=4)
    partial = "application/json;as=PartialObjectMetadataList;v=v1;g=meta.k8s.io"
    listed = (await http.get(WIDGETS, headers={"accept": partial})).json()
    assert listed["kind"] == "PartialObjectMetadataList" and "spec" not in listed["items"][0]
    table = "application/json;as=Table;v=v1;g=meta.k8s.io,application/json"
    told = (await http.get(WIDGETS, headers={"accept": table})).json()
    assert told["kind"] == "Table" and told["rows"][0]["cells"][:3] == ["one", 4, None]
    assert told["rows"][0]["object"]["kind"] == "PartialObjectMetadata"


async def test_the_aggregated_discovery_tells_what_the_plain_one_does(http: httpx.AsyncClient) -> None:
    accept = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json"
    aggregated = await http.get("/apis", headers={"accept": accept})
    assert aggregated.headers["content-type"].startswith("application/json;g=apidiscovery.k8s.io;v=v2")
    group = aggregated.json()["items"][0]
    plain = (await http.get(f"/apis/{GROUP}/v1")).json()
    assert group["metadata"]["name"] == GROUP
    listed = {r["resource"] for r in group["versions"][0]["resources"]}
    assert listed == {r["name"] for r in plain["resources"] if "/" not in r["name"]}
    assert (await http.get("/api")).json()["versions"] == ["v1"]
    assert (await http.get(f"/apis/{GROUP}")).json()["preferredVersion"]["version"] == "v1"
    assert "gitVersion" in (await http.get("/version")).json()


async def test_the_openapi_document_holds_together(http: httpx.AsyncClient) -> None:
    index = (await http.get("/openapi/v3")).json()["paths"]
    book = (await http.get(index[f"apis/{GROUP}/v1"]["serverRelativeURL"])).json()
    schemas = book["components"]["schemas"]

    def references(node: Any) -> set[str]:
        if isinstance(node, dict):
            own = {node["$ref"]} if isinstance(node.get("$ref"), str) else set[str]()
            return own.union(*(references(v) for v in node.values()))
        return set[str]().union(*(references(v) for v in node)) if isinstance(node, list) else set()

    assert {r.removeprefix("#/components/schemas/") for r in references(book)} <= schemas.keys()
    post = book["paths"][f"/apis/{GROUP}/v1/namespaces/{{namespace}}/widgets"]["post"]
    assert {"dryRun", "fieldValidation"} <= {p["name"] for p in post["parameters"]}
    assert post["x-kubernetes-group-version-kind"] == {"group": GROUP, "version": "v1", "kind": "Widget"}
    ids = [o["operationId"] for path in book["paths"].values() for o in path.values() if isinstance(o, dict)]
    assert len(ids) == len(set(ids))


async def test_a_kind_without_a_model_takes_any_field_and_one_with_a_schema_checks_it(http: httpx.AsyncClient) -> None:
    gadgets = f"/apis/{GROUP}/v1/namespaces/default/gadgets"
    free = await http.post(f"{gadgets}?fieldValidation=Strict", json=thing(GADGET, "g", spec={"any": [1]}, other=True))
    assert free.status_code == 201
    maps = "/api/v1/namespaces/default/configmaps"
    wrong = await http.post(maps, json=thing(CONFIGMAP, "c", data={"a": 1}))
    assert wrong.status_code == 422 and wrong.json()["details"]["causes"][0]["field"] == "data.a"
    assert (await http.post(maps, json=thing(CONFIGMAP, "c", data={"a": "1"}))).status_code == 201


async def test_only_who_may_can(resources: Resources) -> None:
    from libs.base import Forbidden

    asked: list[tuple[str, str, str]] = []

    async def nobody_writes(user: Any, verb: str, kind: Any, namespace: str, name: str, part: str) -> bool:
        asked.append((verb, name, part))
        return verb in ("get", "list", "watch", "patch")

    guarded = Resources(
        resources.store,
        resources.kinds,
        clock=resources.clock,
        ids=resources.ids,
        source="a/b",
        authorize=nobody_writes,
    )
    with pytest.raises(Forbidden, match='User "ann" cannot create resource "widgets"'):
        await guarded.create(WIDGET, widget("w"), user="ann")
    await guarded.create(WIDGET, widget("w"))
    assert (await guarded.get(WIDGET, "default", "w", user="ann"))["spec"]["size"] == 1
    with pytest.raises(Forbidden, match='cannot update resource "widgets/status"'):
        await guarded.replace(WIDGET, "default", "w", widget("w"), part="status", user="ann")
    assert asked[-1] == ("update", "w", "status")
    with pytest.raises(Forbidden, match=r'widgets\.\S+ "new" is forbidden: User "ann" cannot create'):
        await guarded.apply(WIDGET, widget("new"), manager="m", user="ann")
    await guarded.apply(WIDGET, widget("w"), manager="m", force=True, user="ann")
    assert asked[-1][0] == "patch"


async def test_two_writers_of_one_name_leave_one_object(resources: Resources) -> None:
    from libs.base import AlreadyExists

    results = await asyncio.gather(
        *(resources.create(WIDGET, widget("race")) for _ in range(8)), return_exceptions=True
    )
    assert sum(isinstance(r, dict) for r in results) == 1
    assert all(isinstance(r, (dict, AlreadyExists)) for r in results)


async def test_a_view_commits_or_leaves_nothing_with_its_transaction(resources: Resources) -> None:
    with pytest.raises(RuntimeError):
        async with resources.store.write() as uow:
            await resources.view(uow).create(WIDGET, widget("undone"))
            raise RuntimeError("the handler failed")
    with pytest.raises(NotFound):
        await resources.get(WIDGET, "default", "undone")
