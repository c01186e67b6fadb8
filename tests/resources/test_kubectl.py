"""The real kubectl against a real server: every command that CLIENTS.md names for custom kinds."""

import asyncio
import json

from libs.resources import Resources
from libs.testing.resources import WIDGET, widget

from .conftest import Kubectl

MANIFEST = """
apiVersion: toys.millstream.dev/v1
kind: Widget
metadata:
  name: %s
  namespace: default
spec:
  size: %d
  parts:
  - name: a
    weight: 1.0
"""


async def test_apply_creates_then_changes_then_leaves_alone(kubectl: Kubectl) -> None:
    first = await kubectl("apply", "-f", "-", stdin=MANIFEST % ("one", 1))
    assert first.out.strip() == "widget.toys.millstream.dev/one created", first.err
    again = await kubectl("apply", "-f", "-", stdin=MANIFEST % ("one", 1))
    assert again.out.strip().endswith("unchanged"), again.err
    changed = await kubectl("apply", "-f", "-", stdin=MANIFEST % ("one", 7))
    assert changed.out.strip().endswith("configured"), changed.err
    got = json.loads((await kubectl("get", "wd", "one", "-o", "json")).out)
    assert got["spec"]["size"] == 7 and got["metadata"]["generation"] == 2


async def test_server_side_apply_keeps_owners_apart(kubectl: Kubectl) -> None:
    first = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST % ("ssa", 1))
    assert first.out.strip().endswith("serverside-applied"), first.err
    await kubectl("patch", "widget", "ssa", "--type=merge", "-p", '{"spec":{"size":5}}')
    clash = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST % ("ssa", 2))
    assert clash.code != 0 and 'conflict with "kubectl-patch"' in clash.err and ".spec.size" in clash.err
    forced = await kubectl("apply", "--server-side", "--force-conflicts", "-f", "-", stdin=MANIFEST % ("ssa", 2))
    assert forced.code == 0, forced.err


async def test_client_side_apply_can_become_server_side(kubectl: Kubectl) -> None:
    await kubectl("apply", "-f", "-", stdin=MANIFEST % ("both", 1))
    moved = await kubectl("apply", "--server-side", "-f", "-", stdin=MANIFEST % ("both", 3))
    assert moved.code == 0, moved.err
    assert (await kubectl("get", "wd", "both", "-o", "jsonpath={.spec.size}")).out == "3"


async def test_get_prints_the_columns(kubectl: Kubectl, resources: Resources) -> None:
    await resources.create(WIDGET, widget("table", size=4, colour="red"))
    told = await kubectl("get", "widgets", "-A", "-o", "wide")
    assert told.out.split("\n")[0].split() == ["NAMESPACE", "NAME", "SIZE", "READY", "COLOUR", "AGE"]
    assert told.out.split("\n")[1].split()[:3] == ["default", "table", "4"]
    missing = await kubectl("get", "widget", "nothing")
    assert missing.err.strip() == 'Error from server (NotFound): widgets.toys.millstream.dev "nothing" not found'


async def test_get_all_and_api_resources_know_the_kinds(kubectl: Kubectl, resources: Resources) -> None:
    await resources.create(WIDGET, widget("one"))
    assert "widget.toys.millstream.dev/one" in (await kubectl("get", "all")).out
    listed = (await kubectl("api-resources")).out
    assert "widgets" in listed and "wd" in listed and "toys.millstream.dev/v1" in listed


async def test_watch_prints_changes_as_rows(kubectl: Kubectl, resources: Resources) -> None:
    await resources.create(WIDGET, widget("seen"))
    watching = asyncio.create_task(kubectl("get", "wd", "-w", "--request-timeout=3s"))
    await asyncio.sleep(1.2)
    await resources.patch(WIDGET, "default", "seen", {"spec": {"size": 42}})
    rows = (await watching).out
    assert "42" in rows, rows


async def test_wait_sees_a_condition_come_true(kubectl: Kubectl, resources: Resources) -> None:
    await resources.create(WIDGET, widget("soon"))
    waiting = asyncio.create_task(kubectl("wait", "--for=condition=Ready", "wd/soon", "--timeout=30s"))
    await asyncio.sleep(1)
    await resources.update_status(WIDGET, "default", "soon", {"conditions": [{"type": "Ready", "status": "True"}]})
    done = await asyncio.wait_for(waiting, 30)
    assert "condition met" in done.out, done.err


async def test_delete_waits_until_the_object_is_gone(kubectl: Kubectl, resources: Resources) -> None:
    await resources.create(WIDGET, widget("gone"))
    deleted = await kubectl("delete", "wd", "gone", "--timeout=30s")
    assert 'widget.toys.millstream.dev "gone" deleted' in deleted.out, deleted.err
    assert await resources.find(WIDGET, "default", "gone") is None


async def test_dry_run_and_diff_store_nothing(kubectl: Kubectl, resources: Resources) -> None:
    tried = await kubectl("create", "--dry-run=server", "-f", "-", stdin=MANIFEST % ("never", 1))
    assert "created (server dry run)" in tried.out, tried.err
    assert await resources.find(WIDGET, "default", "never") is None
    await kubectl("apply", "-f", "-", stdin=MANIFEST % ("real", 1))
    diff = await kubectl("diff", "-f", "-", stdin=MANIFEST % ("real", 9))
    assert diff.code == 1 and "+  size: 9" in diff.out, diff.err
    assert (await resources.get(WIDGET, "default", "real"))["spec"]["size"] == 1


async def test_create_replace_patch_label_and_annotate(kubectl: Kubectl, resources: Resources) -> None:
    assert (await kubectl("create", "-f", "-", stdin=MANIFEST % ("w", 1))).code == 0
    twice = await kubectl("create", "-f", "-", stdin=MANIFEST % ("w", 1))
    assert "AlreadyExists" in twice.err
    assert (await kubectl("replace", "-f", "-", stdin=MANIFEST % ("w", 2))).out.strip().endswith("replaced")
    await kubectl("patch", "wd", "w", "--type=json", "-p", '[{"op":"replace","path":"/spec/size","value":3}]')
    await kubectl("label", "wd", "w", "team=a")
    await kubectl("annotate", "wd", "w", "note=b")
    obj = await resources.get(WIDGET, "default", "w")
    assert obj["spec"]["size"] == 3
    assert obj["metadata"]["labels"] == {"team": "a"} and obj["metadata"]["annotations"]["note"] == "b"
    scaled = await kubectl("scale", "wd", "w", "--replicas=4")
    assert scaled.code == 0, scaled.err
    assert (await resources.get(WIDGET, "default", "w"))["spec"]["replicas"] == 4


async def test_a_misspelt_field_is_named(kubectl: Kubectl) -> None:
    wrong = (MANIFEST % ("typo", 1)).replace("size:", "sise:")
    refused = await kubectl("apply", "-f", "-", stdin=wrong)
    assert refused.code != 0 and 'unknown field "spec.sise"' in refused.err, refused.err


async def test_an_invalid_value_is_named(kubectl: Kubectl) -> None:
    refused = await kubectl("apply", "-f", "-", stdin=MANIFEST % ("big", 1000))
    assert refused.code != 0 and "spec.size" in refused.err and "less than or equal to 100" in refused.err, refused.err


async def test_explain_tells_the_fields(kubectl: Kubectl) -> None:
    told = await kubectl("explain", "widget.spec")
    assert told.code == 0 and "size" in told.out and "How large it is" in told.out, told.err
    inner = await kubectl("explain", "widget.spec.parts")
    assert inner.code == 0 and "weight" in inner.out, inner.err


async def test_describe_shows_the_object_and_its_events(kubectl: Kubectl, resources: Resources) -> None:
    from libs.testing.resources import EVENT, thing

    obj = await resources.create(WIDGET, widget("told"))
    about = {"kind": "Widget", "namespace": "default", "name": "told", "uid": obj["metadata"]["uid"]}
    more = {"reason": "Started", "message": "it runs", "type": "Normal", "count": 1, "source": {"component": "toys"}}
    at = {"firstTimestamp": "2026-11-22T10:00:00Z", "lastTimestamp": "2026-11-22T10:00:00Z"}
    await resources.create(EVENT, thing(EVENT, "told.1", involvedObject=about, **more, **at))
    told = await kubectl("describe", "wd", "told")
    assert "Started" in told.out and "it runs" in told.out, told.out + told.err
