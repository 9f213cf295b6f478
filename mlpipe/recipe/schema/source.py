"""`source:`, the model that everything starts from, and `reference:`, one to hold an existing Core ML model against."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, model_validator

from mlpipe.recipe.schema.base import DType, Field, Name, Section, Sha256

SourceKind = Literal["keras", "tensorflow", "onnx", "coreml", "pipeline"]
SOURCE_KINDS: tuple[SourceKind, ...] = ("keras", "tensorflow", "onnx", "coreml", "pipeline")


class GraphInput(Section):
    """A tensor at which a TensorFlow graph is fed, so that it can be cut."""

    shape: list[int | None] | None = Field(None, description="Shape in the graph's own order; null is a dynamic size.")
    dtype: DType | None = Field(None, description="Its type, where the graph does not say.")
    rename: Name | None = Field(None, description="Name of the Core ML input; default: the tensor's.")


class GraphOutput(Section):
    """A tensor that a TensorFlow graph is asked for."""

    rename: Name | None = Field(None, description="Name of the Core ML output; default: the tensor's.")


def _outputs_as_written(written: Any) -> Any:
    """Return a list of names in the long form."""
    if not isinstance(written, list):
        return written
    if not all(isinstance(name, str) for name in written):
        raise ValueError("a list of outputs holds their names")
    return {name: {} for name in written}


Outputs = Annotated[dict[str, GraphOutput], BeforeValidator(_outputs_as_written, json_schema_input_type=dict[str, GraphOutput] | list[str])]


class Source(Section):
    """The source model: exactly one of `keras`, `tensorflow`, `onnx`, `coreml`, `pipeline` names its file, folder or URL."""

    keras: str | None = Field(None, description="A .keras, .h5 or .hdf5 file.")
    tensorflow: str | None = Field(None, description="A SavedModel folder, frozen .pb, or checkpoint prefix.")
    onnx: str | None = Field(None, description="An .onnx file.")
    coreml: str | None = Field(None, description="A .mlmodel or .mlpackage; it is not converted.")
    pipeline: str | None = Field(None, description="A file that lists the models of a pipeline.")
    sha256: Sha256 | None = Field(None, description="Required for a URL; checked for a file too.")
    allow_code: bool = Field(default=False, description="Allow Keras Lambda layers and other code in a model file to run.")
    modules: list[str] = Field(default_factory=list, description="Python files whose Keras layers and functions the model uses.")
    signature: str | None = Field(None, description="Which signature of a SavedModel; default: serving_default, or the only one.")
    tags: list[str] = Field(default_factory=lambda: ["serve"], description="Which graph of a TF1 SavedModel.")
    inputs: dict[str, GraphInput] = Field(default_factory=dict, description="Tensors to feed, with or without `:0`.")
    outputs: Outputs = Field(default_factory=dict, description="Tensors to fetch; a list of names works too.")

    @model_validator(mode="after")
    def _check(self) -> Source:
        kinds = [kind for kind in SOURCE_KINDS if getattr(self, kind) is not None]
        if len(kinds) != 1:
            raise ValueError(f"expected exactly one of {', '.join(SOURCE_KINDS)}, got {' and '.join(kinds) or 'none'}")
        if self.is_url and self.sha256 is None:
            raise ValueError("a URL needs `sha256:`, the digest of the file that it gives")
        return self

    @property
    def is_url(self) -> bool:
        """Return whether the model is fetched."""
        return self.location.startswith(("https://", "http://"))

    @property
    def kind(self) -> SourceKind:
        """Return which kind of source this is. Errors: StopIteration if validation was bypassed."""
        return next(kind for kind in SOURCE_KINDS if getattr(self, kind) is not None)

    @property
    def location(self) -> str:
        """Return the path or URL as written."""
        return str(getattr(self, self.kind))


class ReferenceOutputs(Section):
    """Outputs that were computed elsewhere and stand in for a reference model."""

    npz: str = Field(description="An .npz with an array per output, samples along the first axis.")
