"""Whether an object is what a Kubernetes of some version would take, by the schemas that kubernetes-validate ships."""

from __future__ import annotations

import functools
import json
from typing import Any

import kubernetes_validate
from kubernetes_validate import utils

from tests.deploy import custom_kinds

OLDEST, NEWEST = "1.28", utils.major_minor(kubernetes_validate.latest_version())
VERSIONS = [f"1.{minor}" for minor in range(int(OLDEST[2:]), int(NEWEST[2:]) + 1)]
"""From the oldest version that we promise to the newest that the schemas know."""

# It reads a file of megabytes for every object otherwise.
utils.schema_contents = functools.cache(utils.schema_contents)


def fault(obj: dict[str, Any], version: str) -> str | None:
    """What that version would refuse, unknown fields included; None when nothing."""
    return _fault(json.dumps(obj, sort_keys=True), version)


@functools.cache
def _fault(text: str, version: str) -> str | None:
    """Many combinations hold the same object: each is looked at once a version."""
    obj = json.loads(text)
    if custom_kinds.knows(obj):
        return custom_kinds.fault(obj)
    try:
        kubernetes_validate.validate(obj, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return f"{'.'.join(map(str, error.path))}: {error.message}"
    except kubernetes_validate.SchemaNotFoundError as error:
        return error.message
    return None
