"""The Model Registry REST API: what is kept, how it is found again, and what is refused in which words."""

import pytest

PROPERTIES = {
    "i": {"metadataType": "MetadataIntValue", "int_value": "3"},
    "d": {"metadataType": "MetadataDoubleValue", "double_value": 0.9},
    "s": {"metadataType": "MetadataStringValue", "string_value": "x"},
    "b": {"metadataType": "MetadataBoolValue", "bool_value": True},
    "t": {"metadataType": "MetadataStructValue", "struct_value": "e30="},
    "p": {"metadataType": "MetadataProtoValue", "type": "google.protobuf.Empty", "proto_value": ""},
}


async def created(client, path, **body):
    answer = await client.post(path, json=body)
    assert answer.status_code == 201, answer.text
    return answer.json()


async def iris(client):
    model = await created(client, "/registered_models", name="iris", owner="me")
    version = await created(client, "/model_versions", name="1", registeredModelId=model["id"])
    return model, version


async def letters(service):
    return [change.letter for change in await service.ports.store.outbox.unsaid(100)]


async def test_ids_and_times_are_strings_and_every_kind_of_property_survives(client):
    model = await created(client, "/registered_models", name="iris", customProperties=PROPERTIES)
    again = (await client.get(f"/registered_models/{model['id']}")).json()
    assert again == model
    assert again["customProperties"] == PROPERTIES
    assert (again["id"], again["state"]) == ("1", "LIVE")
    assert again["createTimeSinceEpoch"].isdigit()


async def test_both_prefixes_show_the_same_records(client):
    model, _ = await iris(client)
    old = await client.get(f"http://registry/api/model_registry/v1alpha3/registered_models/{model['id']}")
    assert old.json() == model


async def test_a_record_is_found_by_name_below_its_parent_and_by_external_id(client):
    model, version = await iris(client)
    artifact = await created(
        client,
        f"/model_versions/{version['id']}/artifacts",
        name="iris",
        artifactType="model-artifact",
        uri="s3://b/k",
        externalId="ext",
    )
    found = [
        await client.get("/registered_model", params={"name": "iris"}),
        await client.get("/model_version", params={"name": "1", "parentResourceId": model["id"]}),
        await client.get("/model_artifact", params={"name": "iris", "parentResourceId": version["id"]}),
        await client.get("/artifact", params={"externalId": "ext"}),
    ]
    assert [each.json()["id"] for each in found] == [model["id"], version["id"], artifact["id"], artifact["id"]]
    missing = await client.get("/registered_model", params={"name": "rose"})
    assert (missing.status_code, missing.json()["code"]) == (404, "404")
    assert (await client.get("/model_version", params={"name": "1"})).status_code == 400


async def test_a_taken_name_is_a_conflict_only_below_the_same_parent(client):
    model, _ = await iris(client)
    rose = await created(client, "/registered_models", name="rose")
    assert (await client.post("/registered_models", json={"name": "iris"})).status_code == 409
    taken = await client.post("/model_versions", json={"name": "1", "registeredModelId": model["id"]})
    assert (taken.status_code, taken.json()["message"]) == (409, "model version '1' of 1 already exists")
    await created(client, f"/registered_models/{rose['id']}/versions", name="1")


async def test_pages_follow_one_another_without_gap_or_repetition_in_any_order(client):
    for number in range(7):
        await created(client, "/registered_models", name=f"m{number}")
    for order in ("ID", "CREATE_TIME", "LAST_UPDATE_TIME", "NAME"):
        for sort, names in (("ASC", "0123456"), ("DESC", "6543210")):
            seen, token = "", ""
            while True:
                params = {"pageSize": 3, "orderBy": order, "sortOrder": sort, "nextPageToken": token}
                page = (await client.get("/registered_models", params=params)).json()
                seen += "".join(item["name"][1:] for item in page["items"])
                assert (page["size"], page["pageSize"]) == (len(page["items"]), 3)
                if not (token := page["nextPageToken"]):
                    break
            assert seen == names, (order, sort)


async def test_a_patch_changes_what_it_names_and_moves_the_update_time_only(client):
    model, version = await iris(client)
    patched = (await client.patch(f"/model_versions/{version['id']}", json={"state": "ARCHIVED"})).json()
    assert patched["state"] == "ARCHIVED"
    assert patched["createTimeSinceEpoch"] == version["createTimeSinceEpoch"]
    assert patched["registeredModelId"] == model["id"]
    again = (await client.patch(f"/model_versions/{version['id']}", json={"description": "d"})).json()
    assert (again["state"], again["description"]) == ("ARCHIVED", "d")


async def test_a_version_is_announced_once_when_its_model_artifact_gets_a_uri(client, service):
    _, version = await iris(client)
    path = f"/model_versions/{version['id']}/artifacts"
    await created(client, path, name="readme", artifactType="doc-artifact", uri="s3://b/readme")
    artifact = await created(client, path, name="iris", artifactType="model-artifact")
    assert await letters(service) == []
    change = {"artifactType": "model-artifact", "uri": "s3://b/k", "modelFormatName": "onnx"}
    await client.patch(f"/model_artifacts/{artifact['id']}", json=change)
    await client.patch(f"/model_artifacts/{artifact['id']}", json=change)
    (letter,) = await letters(service)
    data = letter["data"]
    assert (data["model"], data["version"], data["uri"], data["format"]) == ("iris", "1", "s3://b/k", "onnx")
    assert letter["type"] == "registry.modelversion.created.v1"


async def test_a_post_with_an_id_below_a_version_updates_that_artifact(client):
    _, version = await iris(client)
    path = f"/model_versions/{version['id']}/artifacts"
    artifact = await created(client, path, name="iris", artifactType="model-artifact")
    answer = await client.post(path, json={"id": artifact["id"], "artifactType": "model-artifact", "uri": "s3://b/k"})
    assert (answer.status_code, answer.json()["uri"]) == (200, "s3://b/k")
    listed = (await client.get(path)).json()
    assert [item["id"] for item in listed["items"]] == [artifact["id"]]


@pytest.mark.parametrize(
    ("why", "method", "path", "body", "code", "words"),
    [
        ("no name", "POST", "/registered_models", {}, 400, "name: Field required"),
        ("an empty name", "POST", "/registered_models", {"name": ""}, 400, "name:"),
        ("a NUL in a name", "POST", "/registered_models", {"name": "a\x00b"}, 400, "NUL"),
        ("no JSON", "POST", "/registered_models", None, 400, "JSON"),
        ("an unknown state", "POST", "/registered_models", {"name": "a", "state": "DEAD"}, 400, "state"),
        ("an unknown parent", "POST", "/model_versions", {"name": "1", "registeredModelId": "9"}, 404, "not found"),
        ("a parent that is no id", "POST", "/model_versions", {"name": "1", "registeredModelId": "x"}, 404, "'x'"),
        ("an unknown record", "GET", "/artifacts/9", None, 404, "artifact '9' not found"),
        ("an id beyond 64 bits", "GET", "/registered_models/99999999999999999999", None, 404, "not found"),
        ("an unknown artifact type", "POST", "/artifacts", {"artifactType": "zz"}, 400, "artifactType"),
        ("a page size of zero", "GET", "/registered_models?pageSize=0", None, 400, "pageSize"),
        ("an unknown order", "GET", "/registered_models?orderBy=COLOUR", None, 400, "orderBy"),
        ("a foreign page token", "GET", "/registered_models?nextPageToken=e30=", None, 400, "nextPageToken"),
        ("a filter language", "GET", "/registered_models?filterQuery=a", None, 400, "filterQuery"),
    ],
)
async def test_bad_requests_are_refused_in_the_registrys_own_form(client, why, method, path, body, code, words):
    content = b"{" if body is None and method == "POST" else None
    headers = {"content-type": "application/json"}
    if content:
        answer = await client.request(method, path, content=content, headers=headers)
    else:
        answer = await client.request(method, path, json=body) if body is not None else await client.get(path)
    assert (answer.status_code, answer.json()["code"]) == (code, str(code)), why
    assert words in answer.json()["message"], why


async def test_an_integer_property_that_is_no_integer_is_refused(client):
    odd = {"n": {"metadataType": "MetadataIntValue", "int_value": "three"}}
    answer = await client.post("/registered_models", json={"name": "a", "customProperties": odd})
    assert (answer.status_code, answer.json()["code"]) == (400, "400")


async def test_a_body_that_is_not_even_text_is_refused_in_the_registrys_own_form(client):
    answer = await client.post("/registered_models", content=b"\xff", headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["code"]) == (400, "400")
