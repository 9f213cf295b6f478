"""A source model and what the recipe adds to it, traced as one TensorFlow function of the Core ML model's inputs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from mlpipe.errors import ConversionFailed
from mlpipe.sources.conversion.interface import InputPlan, Interface, OutputPlan
from mlpipe.sources.traceable import MUST_COMPILE, Traceable, first_line


@dataclass(frozen=True)
class Traced:
    """A concrete function, and what it calls its inputs and outputs, in the interface's order."""

    function: Any
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]


def trace(model: Traceable, interface: Interface) -> Traced:
    """Return the model as a concrete function from Core ML inputs to Core ML outputs. Errors: ConversionFailed."""
    import tensorflow as tf

    def function(*tensors: Any) -> list[Any]:
        fed = [_as_the_source_takes_it(tf, plan, tensor) for plan, tensor in zip(interface.inputs, tensors, strict=True)]
        made = model.call(fed)
        return [_as_core_ml_gives_it(tf, plan, tensor) for plan, tensor in zip(interface.outputs, made, strict=True)]

    signature = [
        tf.TensorSpec(plan.traced_shape, "int32" if plan.dtype == "int32" else "float32", name=f"mlpipe_input_{index}")
        for index, plan in enumerate(interface.inputs)
    ]
    try:
        with _convertible_keras():
            concrete = tf.function(function, autograph=False).get_concrete_function(*signature)
    except Exception as error:
        raise ConversionFailed("TensorFlow cannot trace the model with these shapes", why=first_line(error)) from error
    for operation in concrete.graph.get_operations():
        if MUST_COMPILE in operation.node_def.attr:
            operation._clear_attr(MUST_COMPILE)  # noqa: SLF001 (a graph under construction has no public way)
    count = len(signature)  # captured variables follow the arguments
    return Traced(concrete, tuple(tensor.op.name for tensor in concrete.inputs[:count]), tuple(tensor.op.name for tensor in concrete.outputs))


def _as_the_source_takes_it(tf: Any, plan: InputPlan, tensor: Any) -> Any:
    """Return the tensor that the source is fed: pixels scaled where Core ML cannot, and in the source's own type."""
    if plan.is_folded and plan.image is not None:
        shape = [1, 1, 1, -1] if plan.image.layout == "nhwc" else [1, -1, 1, 1]
        scale, bias = (tf.reshape(tf.constant(values, tf.float32), shape) for values in (plan.image.scale, plan.image.bias))
        tensor = tensor * scale + bias
    dtype = tf.as_dtype(plan.feature.dtype)
    if dtype == tf.bool:
        return tf.not_equal(tensor, 0)  # coremltools has no cast to bool
    return tensor if tensor.dtype == dtype else tf.cast(tensor, dtype)


def _as_core_ml_gives_it(tf: Any, plan: OutputPlan, tensor: Any) -> Any:
    """Return the tensor in a type that Core ML has; an image output as pixels, channels first."""
    dtype = tf.int32 if plan.dtype == "int32" else tf.float32
    if tensor.dtype != dtype:
        tensor = tf.cast(tensor, dtype)
    if plan.image is None:
        return tensor
    if plan.image.scale != 1.0:
        tensor *= tf.constant(plan.image.scale, tf.float32)
    if plan.image.clip:
        tensor = tf.clip_by_value(tensor, 0.0, 255.0)
    return tf.transpose(tensor, [0, 3, 1, 2]) if plan.layout == "nhwc" else tensor


class _WithoutIterationLimit:
    """The tensorflow module, but for while_loop, which ignores `maximum_iterations`."""

    def __init__(self, tf: Any) -> None:
        self._tf = tf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tf, name)

    def while_loop(self, *arguments: Any, maximum_iterations: Any = None, **keywords: Any) -> Any:
        del maximum_iterations
        return self._tf.while_loop(*arguments, **keywords)


@contextmanager
def _convertible_keras() -> Iterator[None]:
    """Trace Keras without what coremltools 9.0 cannot convert, or makes more of than there is.

    The loops of LSTM, GRU and SimpleRNN have no iteration limit, which would be counted beside their own condition (`time < steps`) and is the same.
    Loops that others write keep theirs, which may be all that ends them.
    The sign of a number is found by comparison, not in its bits: argmax and argmin, which ask for it, no longer tell -0 from 0.
    """
    rnn: Any = importlib.import_module("keras.src.backend.tensorflow.rnn")  # `from ... import rnn` gives the function of that name
    numpy: Any = importlib.import_module("keras.src.backend.tensorflow.numpy")
    original, signbit = rnn.tf, numpy.signbit
    rnn.tf, numpy.signbit = _WithoutIterationLimit(original), lambda x: original.less(x, 0)
    try:
        yield
    finally:
        rnn.tf, numpy.signbit = original, signbit
