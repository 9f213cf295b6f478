"""coremltools' pass pipeline, with what one of its passes gets wrong put right."""

from __future__ import annotations

from typing import Any

import numpy as np

_FUSE = "common::fuse_elementwise_to_batchnorm"
_NAMESPACE, _NAME = "mlpipe", "fuse_elementwise_to_exact_batchnorm"


def exact_pipeline() -> Any:
    """Return coremltools' default pipeline, in which a multiplication and addition that becomes a batch_norm keeps its own value.

    `fuse_elementwise_to_batchnorm` writes x * gamma + beta as a batch_norm with variance 1 and its default epsilon of 1e-5, which divides gamma by
    sqrt(1 + 1e-5): every batch normalization that TensorFlow decomposes comes out 5e-6 too small, and eight of them in a row leave 96 dB.
    """
    from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipeline

    _register()
    pipeline = PassPipeline()
    place = pipeline.passes.index(_FUSE)
    pipeline.remove_passes({_FUSE})
    pipeline.insert_pass(place, f"{_NAMESPACE}::{_NAME}")
    return pipeline


def _register() -> None:
    from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    if f"{_NAMESPACE}::{_NAME}" in PASS_REGISTRY:
        return

    class FuseExactly(AbstractGraphPass):  # type: ignore[misc]
        """Runs coremltools' pass, and undoes the epsilon of each batch_norm that it made; those that stood there before have theirs rightly."""

        def apply(self, program: Any) -> None:
            standing = [op for function in program.functions.values() for op in _batch_norms(function)]
            before = {id(op) for op in standing}
            PASS_REGISTRY[_FUSE].apply(program)
            for function in program.functions.values():
                for op in _batch_norms(function):
                    if id(op) not in before:
                        _undo_epsilon(op)

    PASS_REGISTRY.add(_NAMESPACE, FuseExactly, override=False, name=_NAME)


def _batch_norms(block: Any) -> list[Any]:
    """Return the batch_norm operations of a block and of those inside it. A list keeps them alive, and with that their ids apart."""
    found = []
    for op in block.operations:
        for inner in op.blocks:
            found += _batch_norms(inner)
        if op.op_type == "batch_norm":
            found.append(op)
    return found


def _undo_epsilon(op: Any) -> None:
    """Replace a batch_norm of mean 0 and variance 1 by one whose gamma is scaled by sqrt(1 + epsilon)."""
    from coremltools.converters.mil.mil import Builder

    block, epsilon = op.enclosing_block, np.asarray(op.epsilon.val, dtype=np.float64)
    exact = (op.gamma.val.astype(np.float64) * np.sqrt(op.variance.val.astype(np.float64) + epsilon)).astype(op.gamma.val.dtype)
    with block:
        new = Builder.batch_norm(x=op.x, mean=op.mean, variance=op.variance, gamma=exact, beta=op.beta, epsilon=op.epsilon, name=op.name, before_op=op)
    block.replace_uses_of_var_after_op(anchor_op=op, old_var=op.outputs[0], new_var=new)
    block.remove_ops([op])
