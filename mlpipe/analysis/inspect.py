"""What is in a model file: for people, and for scripts that ask before they run."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

from mlpipe.analysis.breakdown import custom_layers_of, details_of, layer_counts, stages_of
from mlpipe.analysis.execution import execution, layers_of
from mlpipe.errors import ModelFileInvalid
from mlpipe.model_files.describe import describe_feature, describe_model
from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.recipe.capabilities import target_name
from mlpipe.recipe.schema.source import Source, SourceKind


def inspect_source(path: Path, kind: SourceKind) -> dict[str, Any]:
    """Return what a Keras or TensorFlow model says of itself; its framework loads it in a worker. Errors: SourceUnreadable."""
    from mlpipe.engine.describe import describe_source

    location = path.with_suffix("") if path.suffix == ".meta" else path
    description = describe_source(Source.model_validate({kind: str(location)}))
    return {"path": str(path), **description, "size_bytes": _size(path)}


def inspect_coreml(path: Path, *, values: bool = False) -> dict[str, Any]:
    """Return interface, functions, layers, bits per weight, the stages of a pipeline, the sizes of classic models and how all of it is executed.

    Errors: ModelFileInvalid.
    """
    model = read_model(path)
    try:
        described = _described(model) | {"stages": stages_of(model)}
    except (LookupError, TypeError, ValueError, AttributeError) as error:
        # A file of the right form can be wrong in any of its thousand fields.
        raise ModelFileInvalid("the file is damaged", where=str(path), why=f"{type(error).__name__}: {error}") from error
    return {"path": str(path), **described, "functions": _functions(model, values=values), "portable_runtime": execution(model, values=values)}


def _described(model: ModelFile) -> dict[str, Any]:
    """Return what the file says, whether or not it can be executed."""
    description = describe_model(model)
    version = model.spec.specificationVersion
    return {
        "kind": model.kind,
        "size_bytes": _size(model.path),
        "specification_version": version,
        "minimum_deployment_target": _oldest_target(version),
        "inputs": description["inputs"],
        "outputs": description["outputs"],
        "states": description["states"],
        "classifier": description["classifier"],
        "metadata": {key: value for key, value in _metadata(model.spec).items() if value},
        "details": details_of(model),
        "layers": _layers(model),
        "custom_layers": custom_layers_of(model.spec),
        "bits": _bits(model),
    }


def _oldest_target(specification: int) -> str:
    """Return the system that a specification version needs; versions 1 to 3 are older than any that mlpipe writes."""
    return {1: "iOS11", 2: "iOS11.2", 3: "iOS12"}.get(specification) or target_name(specification)


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _metadata(spec: Any) -> dict[str, Any]:
    metadata = spec.description.metadata
    return {
        "description": metadata.shortDescription,
        "author": metadata.author,
        "license": metadata.license,
        "version": metadata.versionString,
        "user_defined": dict(metadata.userDefined),
    }


def _functions(model: ModelFile, *, values: bool) -> list[dict[str, Any]]:
    """Return the interface of each function, and how it is executed; none for models that have only one."""
    description = model.spec.description
    return [
        {
            "name": function.name,
            "default": function.name == description.defaultFunctionName,
            **{f"{side}s": [describe_feature(feature) for feature in getattr(function, side)] for side in ("input", "output", "state")},
            "portable_runtime": execution(model, function.name, values=values),
        }
        for function in description.functions
    ]


def _layers(model: ModelFile) -> dict[str, int]:
    """Return how many layers or operations there are of each type; constants are counted as weights."""
    if model.kind == "mlprogram":
        return dict(Counter(layer.type for layer in layers_of(model) if not layer.type.startswith("constexpr_")).most_common())
    return layer_counts(model.spec)


def _bits(model: ModelFile) -> dict[str, int]:
    """Return how many weight values are stored in how many bits, e.g. {"8-bit": 34304, "32-bit": 106}."""
    found: Counter[int] = Counter()
    if model.kind == "mlprogram":
        from mlpipe.weights.program import constants_of

        for constant in constants_of(model.spec.mlProgram, model.weights_folder):
            if constant.elements > 1:
                found[constant.stored_bits()] += constant.elements
    else:
        from mlpipe.weights.neuralnetwork import stored_as
        from mlpipe.weights.neuralnetwork_layers import networks_of, weights_of_network

        for _, _, network in networks_of(model.spec):
            for weight in weights_of_network(network):
                width = {"float32": 32, "float16": 16, "int8": 8}.get(stored_as(weight.params)) or weight.params.quantization.numberOfBits
                found[width] += weight.values().size
    return {f"{bits}-bit": count for bits, count in sorted(found.items())}
