"""What a model file says of itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mlpipe.errors import RecipeError
from mlpipe.recipe.schema.convert import Metadata

PREVIEW_TYPE = "com.apple.coreml.model.preview.type"


def stamp(spec: Any, metadata: Metadata, names: Mapping[str, str] | None = None) -> None:
    """Write the metadata into the model; what it does not name stays as it is.

    Descriptions of inputs and outputs may use the Core ML names, or the source's, for which `names` gives the Core ML one.
    Errors: RecipeError for the description of an input or output that the model does not have.
    """
    target = spec.description.metadata
    fields = {
        "author": metadata.author,
        "license": metadata.license,
        "versionString": metadata.version,
        "shortDescription": metadata.description,
    }
    for field, text in fields.items():
        if text is not None:
            setattr(target, field, text)
    for key in sorted(metadata.user_defined):
        target.userDefined[key] = metadata.user_defined[key]
    if metadata.preview_type is not None:
        target.userDefined[PREVIEW_TYPE] = metadata.preview_type
    holders = [spec.description, *spec.description.functions]
    for kind, texts in (("input", metadata.inputs), ("output", metadata.outputs)):
        features = [feature for holder in holders for feature in getattr(holder, kind)]
        for name, text in texts.items():
            found = [feature for feature in features if feature.name == (names or {}).get(name, name)]
            if not found:
                fix = "it has " + ", ".join(sorted({feature.name for feature in features}))
                raise RecipeError(f"the metadata describes the {kind} {name}, which the model does not have", fix=fix)
            for feature in found:
                feature.shortDescription = text


def is_empty(metadata: Metadata) -> bool:
    """Return whether there is nothing to stamp."""
    return metadata == Metadata()
