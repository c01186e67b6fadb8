"""The rules for names, labels and the rest of `metadata` (RFC 1123, k8s.io/apimachinery validation); pure."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from libs.base import Cause

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_SUBDOMAIN = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
_PART = re.compile(r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]")
ANNOTATIONS_BYTES_MAX = 256 * 1024


def name_problem(name: Any, *, label: bool = False) -> str | None:
    """Why `name` is not an RFC 1123 subdomain (or label), or None."""
    limit, rule = (63, _LABEL) if label else (253, _SUBDOMAIN)
    if not isinstance(name, str):
        return f"Invalid value: {name!r}: must be a string"
    if len(name) > limit:
        return f"Invalid value: {name[:60] + '...'!r}: must be no more than {limit} characters"
    if not rule.fullmatch(name):
        what = "label" if label else "subdomain"
        dots = "" if label else " or '.'"
        return (
            f"Invalid value: {name!r}: a lowercase RFC 1123 {what} must consist of lower case alphanumeric characters, "
            f"'-'{dots}, and must start and end with an alphanumeric character (e.g. 'my-name', or '123-abc')"
        )
    return None


def label_key_problem(key: Any) -> str | None:
    """Why `key` is not a qualified name such as `app` or `example.com/app`, or None."""
    if not isinstance(key, str):
        return f"{key!r} must be a string"
    prefix, slash, part = key.rpartition("/")
    if slash and (len(prefix) > 253 or not _SUBDOMAIN.fullmatch(prefix)):
        return f"{key!r}: the prefix before '/' must be a DNS subdomain (e.g. 'example.com/{part or 'name'}')"
    if not part or len(part) > 63 or not _PART.fullmatch(part):
        return (
            f"{key!r}: the name part must be 1 to 63 letters, digits, '-', '_' or '.', and start and end with a letter "
            "or digit (e.g. 'MyName' or 'my.name')"
        )
    return None


def label_value_problem(value: Any) -> str | None:
    """Why `value` cannot be the value of a label, or None; the empty text can."""
    if not isinstance(value, str):
        return f"{value!r} must be a string: put it in quotes"
    if len(value) > 63 or (value and not _PART.fullmatch(value)):
        return (
            f"{value!r} must be at most 63 letters, digits, '-', '_' or '.', and start and end with a letter or digit"
        )
    return None


def metadata_problems(metadata: Mapping[str, Any], *, namespaced: bool, name_is_label: bool) -> Iterator[Cause]:
    """Everything that is wrong with an object's metadata."""
    yield from _name_problems(metadata, namespaced=namespaced, name_is_label=name_is_label)
    yield from _label_problems(metadata.get("labels"))
    yield from _annotation_problems(metadata.get("annotations"))
    yield from _finalizer_problems(metadata.get("finalizers"))
    yield from _owner_problems(metadata.get("ownerReferences"))


def _name_problems(metadata: Mapping[str, Any], *, namespaced: bool, name_is_label: bool) -> Iterator[Cause]:
    if problem := name_problem(metadata.get("name"), label=name_is_label):
        yield Cause("metadata.name", problem)
    if namespaced and (problem := name_problem(metadata.get("namespace"), label=True)):
        yield Cause("metadata.namespace", problem)


def _label_problems(labels: Any) -> Iterator[Cause]:
    if labels is None:
        return
    if not isinstance(labels, Mapping):
        yield Cause("metadata.labels", f"Invalid value: {labels!r}: must be a map of strings", "FieldValueTypeInvalid")
        return
    for key, value in labels.items():
        if problem := label_key_problem(key) or label_value_problem(value):
            yield Cause("metadata.labels", f"Invalid value: {problem}")


def _annotation_problems(annotations: Any) -> Iterator[Cause]:
    if annotations is None:
        return
    if not isinstance(annotations, Mapping):
        told = f"Invalid value: {annotations!r}: must be a map of strings"
        yield Cause("metadata.annotations", told, "FieldValueTypeInvalid")
        return
    for key, value in annotations.items():
        if problem := label_key_problem(key if not isinstance(key, str) else key.lower()):
            yield Cause("metadata.annotations", f"Invalid value: {problem}")
        if not isinstance(value, str):
            told = f"Invalid value: {value!r}: must be a string: put it in quotes"
            yield Cause(f"metadata.annotations[{key}]", told, "FieldValueTypeInvalid")
    if sum(len(str(k)) + len(str(v)) for k, v in annotations.items()) > ANNOTATIONS_BYTES_MAX:
        yield Cause(
            "metadata.annotations", f"Too long: may not be more than {ANNOTATIONS_BYTES_MAX} bytes", "FieldValueTooLong"
        )


def _finalizer_problems(finalizers: Any) -> Iterator[Cause]:
    if finalizers is None:
        return
    if not isinstance(finalizers, list):
        yield Cause("metadata.finalizers", "Invalid value: must be a list of names", "FieldValueTypeInvalid")
        return
    for at, finalizer in enumerate(finalizers):
        if problem := label_key_problem(finalizer):
            yield Cause(f"metadata.finalizers[{at}]", f"Invalid value: {problem}")


def _owner_problems(owners: Any) -> Iterator[Cause]:
    if owners is None:
        return
    if not isinstance(owners, list) or not all(isinstance(o, Mapping) for o in owners):
        yield Cause("metadata.ownerReferences", "Invalid value: must be a list of references", "FieldValueTypeInvalid")
        return
    for at, owner in enumerate(owners):
        for field in ("apiVersion", "kind", "name", "uid"):
            if not isinstance(owner.get(field), str) or not owner[field]:
                told = "Required value: name the owner's apiVersion, kind, name and uid"
                yield Cause(f"metadata.ownerReferences[{at}].{field}", told, "FieldValueRequired")
    if sum(o.get("controller") is True for o in owners) > 1:
        yield Cause("metadata.ownerReferences", "Invalid value: only one reference can have controller set to true")
