"""What clients send and read, field by field, in the names of the Model Registry REST API (v1 and v1alpha3 alike)."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictStr

MAX_INT64 = 2**63 - 1


def _no_nul(text: str) -> str:
    """PostgreSQL cannot keep NUL in text; refuse it everywhere alike."""
    if "\x00" in text:
        raise ValueError("must not contain NUL characters")
    return text


def _int64(text: str) -> str:
    try:
        value = int(text)
    except ValueError as error:
        raise ValueError("int_value must be the decimal text of an integer") from error
    if not -MAX_INT64 - 1 <= value <= MAX_INT64:
        raise ValueError("int_value must fit 64 bits")
    return str(value)


Text = Annotated[StrictStr, Field(max_length=65535), AfterValidator(_no_nul)]
Name = Annotated[StrictStr, Field(min_length=1, max_length=253), AfterValidator(_no_nul)]
Int64Text = Annotated[StrictStr, Field(max_length=40), AfterValidator(_int64)]
State = Literal["LIVE", "ARCHIVED"]
ArtifactState = Literal["UNKNOWN", "PENDING", "LIVE", "MARKED_FOR_DELETION", "DELETED", "ABANDONED", "REFERENCE"]


class Form(BaseModel):
    """Read-only fields that clients send back (id, times) are ignored; an explicit null means "not given"."""

    model_config = ConfigDict(extra="ignore", protected_namespaces=())


class IntValue(Form):
    metadataType: Literal["MetadataIntValue"]
    int_value: Int64Text


class DoubleValue(Form):
    metadataType: Literal["MetadataDoubleValue"]
    double_value: Annotated[float, Field(allow_inf_nan=False)]


class StringValue(Form):
    metadataType: Literal["MetadataStringValue"]
    string_value: Text


class BoolValue(Form):
    metadataType: Literal["MetadataBoolValue"]
    bool_value: StrictBool


class StructValue(Form):
    """`struct_value` is base64 of the struct, opaque here."""

    metadataType: Literal["MetadataStructValue"]
    struct_value: Text


class ProtoValue(Form):
    """`proto_value` is base64 of a message of the given type, opaque here."""

    metadataType: Literal["MetadataProtoValue"]
    type: Text
    proto_value: Text


MetadataValue = Annotated[
    IntValue | DoubleValue | StringValue | BoolValue | StructValue | ProtoValue, Field(discriminator="metadataType")
]


class Described(Form):
    description: Text | None = None
    externalId: Name | None = None
    customProperties: dict[Name, MetadataValue] | None = None


class RegisteredModelUpdate(Described):
    owner: Text | None = None
    state: State | None = None
    readme: Text | None = None
    maturity: Text | None = None
    language: list[Text] | None = None
    tasks: list[Text] | None = None
    provider: Text | None = None
    logo: Text | None = None
    license: Text | None = None
    licenseLink: Text | None = None
    libraryName: Text | None = None


class RegisteredModelCreate(RegisteredModelUpdate):
    name: Name


class ModelVersionUpdate(Described):
    author: Text | None = None
    state: State | None = None


class ModelVersionCreate(ModelVersionUpdate):
    name: Name
    registeredModelId: Text


class NestedVersionCreate(ModelVersionUpdate):
    """A version posted below its model; the path says which model."""

    name: Name
    registeredModelId: Text | None = None


class _ArtifactUpdate(Described):
    uri: Text | None = None
    state: ArtifactState | None = None


class ModelArtifactUpdate(_ArtifactUpdate):
    artifactType: Literal["model-artifact"] = "model-artifact"
    modelFormatName: Text | None = None
    modelFormatVersion: Text | None = None
    storageKey: Text | None = None
    storagePath: Text | None = None
    serviceAccountName: Text | None = None
    modelSourceKind: Text | None = None
    modelSourceClass: Text | None = None
    modelSourceGroup: Text | None = None
    modelSourceId: Text | None = None
    modelSourceName: Text | None = None


class DocArtifactUpdate(_ArtifactUpdate):
    artifactType: Literal["doc-artifact"]


class ModelArtifactCreate(ModelArtifactUpdate):
    """`id` of an existing artifact makes a post below a version an update (the API calls it upsert)."""

    name: Name | None = None
    id: Text | None = None


class DocArtifactCreate(DocArtifactUpdate):
    name: Name | None = None
    id: Text | None = None


class _TypedModelArtifact(ModelArtifactCreate):
    artifactType: Literal["model-artifact"]


class _TypedModelArtifactUpdate(ModelArtifactUpdate):
    artifactType: Literal["model-artifact"]


ArtifactCreate = Annotated[_TypedModelArtifact | DocArtifactCreate, Field(discriminator="artifactType")]
ArtifactUpdate = Annotated[_TypedModelArtifactUpdate | DocArtifactUpdate, Field(discriminator="artifactType")]


def given(form: Form) -> dict[str, Any]:
    """The fields that were sent and are not null, ready to be kept as JSON."""
    return form.model_dump(mode="json", exclude_none=True, exclude_unset=True)
