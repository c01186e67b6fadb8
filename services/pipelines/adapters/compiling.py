"""From what a client sent to the pipeline that can be run and the document that is kept; large ones take seconds."""

from __future__ import annotations

from services.pipelines.adapters.spec import canonical
from services.pipelines.domain.catalog.documents import Document
from services.pipelines.domain.ir.model import Pipeline
from services.pipelines.domain.ir.reading import read


def compiled(document: Document) -> tuple[Pipeline, Document]:
    """Raises SpecError naming every field that is wrong. What is kept is KFP's canonical form: one digest however the
    same pipeline was written."""
    spec, platform = canonical(document.shown())
    return read(spec, platform), Document(spec, platform or None)
