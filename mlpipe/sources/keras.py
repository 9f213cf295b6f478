"""Keras models: `.keras`, and `.h5` or `.hdf5` of Keras 2 and 3."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from mlpipe.errors import SourceUnreadable
from mlpipe.recipe.schema.convert import Convert
from mlpipe.recipe.schema.source import Source
from mlpipe.sources import traceable
from mlpipe.sources.conversion.run import convert_traceable
from mlpipe.sources.feature import Feature, unique_names
from mlpipe.sources.keras_loading import load_model
from mlpipe.sources.traceable import Arrays, Traceable


def describe(source: Source, path: Path) -> dict[str, Any]:
    """Return the inputs and outputs of the model, for description.json."""
    return load(source, path).describe("keras")


def predict(source: Source, path: Path, feeds: Iterable[Arrays], progress: Callable[[float, float, str], None]) -> Iterator[Arrays]:
    """Return what Keras computes, in inference mode. Shapes: batch first."""
    progress(0, 1, "loading the Keras model")
    yield from traceable.predict(load(source, path), feeds)


def convert(source: Source, path: Path, convert: Convert, output: Path) -> dict[str, Any]:
    """Write the Core ML model; return the data of conversion.json."""
    return convert_traceable(load(source, path), convert, output)


def load(source: Source, path: Path) -> Traceable:
    """Return the model as a function. Errors: SourceUnreadable."""
    model = load_model(source, path)
    if not getattr(model, "inputs", None):
        return _subclassed(model, path)
    import keras

    structure = getattr(model, "_inputs_struct", None)
    if structure is None:
        structure = list(model.inputs)
    outputs = list(model.outputs)
    names = _output_names(model, getattr(model, "_outputs_struct", None), len(outputs))
    output_features = [_feature(name, tensor) for name, tensor in zip(names, outputs, strict=True)]

    def call(tensors: Sequence[Any]) -> list[Any]:
        arguments = keras.tree.pack_sequence_as(structure, list(tensors))
        if isinstance(arguments, list) and len(arguments) == 1:
            arguments = arguments[0]
        return list(keras.tree.flatten(model(arguments, training=False)))

    inputs = [_feature(name, tensor) for name, tensor in zip(unique_names(tensor.name for tensor in model.inputs), model.inputs, strict=True)]
    return Traceable(tuple(inputs), tuple(output_features), call, keep_alive=model)


def _feature(name: str, tensor: Any) -> Feature:
    return Feature(name, tuple(tensor.shape), str(tensor.dtype))


def _output_names(model: Any, structure: Any, count: int) -> list[str]:
    """Return the keys of a dictionary of outputs, else the names of the layers that make them."""
    if isinstance(structure, dict):
        import keras

        return unique_names("_".join(str(part) for part in path) for path, _ in keras.tree.flatten_with_path(structure))
    names = getattr(model, "output_names", None) or [model.layers[-1].name]
    return unique_names(names) if len(names) == count else [f"output_{index}" for index in range(count)]


def _subclassed(model: Any, path: Path) -> Traceable:
    """Return a model written as a class, whose only input has the shape it was built with."""
    import keras

    shape = (model.get_build_config() or {}).get("input_shape")
    if not isinstance(shape, list | tuple) or not all(size is None or isinstance(size, int) for size in shape):
        fix = "save it as a Functional model, or export() it and use `tensorflow:`"
        raise SourceUnreadable("the file does not say which inputs the model takes", where=path.name, fix=fix)
    feature = Feature("input_0", tuple(shape), str(model.input_dtype or "float32"))

    def call(tensors: Sequence[Any]) -> list[Any]:
        return list(keras.tree.flatten(model(tensors[0], training=False)))

    made = model(keras.KerasTensor(shape, dtype=feature.dtype), training=False)
    tensors = keras.tree.flatten(made)
    names = [f"output_{index}" for index in range(len(tensors))] if not isinstance(made, dict) else _output_names(model, made, len(tensors))
    return Traceable((feature,), tuple(_feature(name, tensor) for name, tensor in zip(names, tensors, strict=True)), call, keep_alive=model)
