"""What a request asks for beside its body: the form of the answer, booleans and numbers as any client spells them; no
I/O.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from libs.base import ApiError, BadRequest, Cause, Invalid

_TRUE, _FALSE = ("true", "1", "t", "yes"), ("false", "0", "f", "no")


class NotAcceptable(ApiError):
    code, reason = 406, "NotAcceptable"


@dataclass(frozen=True)
class Form:
    """`shape` is "" (as it is), Table, PartialObjectMetadata or PartialObjectMetadataList; `yaml` asks for
    YAML text.
    """

    shape: str = ""
    yaml: bool = False


_SHAPES = ("Table", "PartialObjectMetadata", "PartialObjectMetadataList")


def form_of(accept: str | None) -> Form:
    """The first form in an Accept header that this server can give; raises NotAcceptable where there is none."""
    for media, params in _ranges(accept or "*/*"):
        if media in ("application/yaml", "application/x-yaml", "text/yaml"):
            return Form(yaml=True)
        if media not in ("application/json", "application/*", "*/*", "text/plain", "text/*"):
            continue
        if "as" not in params:
            return Form()
        if (
            params["as"] in _SHAPES
            and params.get("g", "meta.k8s.io") == "meta.k8s.io"
            and params.get("v") in ("v1", "v1beta1")
        ):
            return Form(params["as"])
    raise NotAcceptable(
        f"none of the types in Accept: {accept} can be given: ask for application/json or application/yaml"
    )


def wants_aggregated(accept: str | None) -> bool:
    """Whether the first acceptable form of a discovery document is the aggregated one (v2)."""
    for media, params in _ranges(accept or ""):
        if params.get("g") == "apidiscovery.k8s.io" and params.get("as") == "APIGroupDiscoveryList":
            if params.get("v") == "v2":
                return True
        elif media in ("application/json", "*/*", "application/*"):
            return False
    return False


def _ranges(accept: str) -> Iterator[tuple[str, dict[str, str]]]:
    for part in accept.split(","):
        media, *params = (p.strip() for p in part.split(";"))
        yield media.lower(), dict(p.split("=", 1) for p in params if "=" in p)


def flag(query: Mapping[str, str], name: str) -> bool | None:
    """A boolean in any spelling (`true`, `True`, `1`), None if absent; raises BadRequest for anything else."""
    text = query.get(name)
    if text is None:
        return None
    if text.lower() in _TRUE or text == "":
        return True
    if text.lower() in _FALSE:
        return False
    raise BadRequest(f"{name}: {text!r} is not a boolean: use true or false")


def whole(query: Mapping[str, str], name: str) -> int | None:
    """A whole number from 0 on, None if absent; raises BadRequest for anything else."""
    text = query.get(name)
    if text is None or text == "":
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise BadRequest(f"{name}: {text!r} is not a whole number from 0 on")
    return int(text)


def dry_run(query_values: list[str]) -> bool:
    """`dryRun=All`, once or more; raises Invalid for any other value."""
    wrong = [v for v in query_values if v not in ("All", "")]
    if wrong:
        told = f'Unsupported value: {wrong}: supported values: "All"'
        raise Invalid(causes=[Cause("dryRun", told, "FieldValueNotSupported")])
    return "All" in query_values
