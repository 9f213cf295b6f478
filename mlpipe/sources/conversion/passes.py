"""coremltools' pass pipeline, with what two of its passes get wrong put right."""

from __future__ import annotations

from typing import Any

import numpy as np

_FUSE = "common::fuse_elementwise_to_batchnorm"
_INVARIANTS = "common::loop_invariant_elimination"
_NAMESPACE = "mlpipe"
_REPLACED = {_FUSE: "fuse_elementwise_to_exact_batchnorm", _INVARIANTS: "true_loop_invariant_elimination"}


def exact_pipeline() -> Any:
    """Return coremltools' default pipeline with two passes replaced.

    `fuse_elementwise_to_batchnorm` writes x * gamma + beta as a batch_norm with variance 1 and its default epsilon of 1e-5, which divides gamma by
    sqrt(1 + 1e-5): every batch normalization that TensorFlow decomposes comes out 5e-6 too small, and eight of them in a row leave 96 dB.

    `loop_invariant_elimination` takes a variable that each round sets to a value from outside of the loop for one that no round changes.
    """
    from coremltools.converters.mil.mil.passes.pass_pipeline import PassPipeline

    _register()
    pipeline = PassPipeline()
    pipeline.passes = [f"{_NAMESPACE}::{_REPLACED[name]}" if name in _REPLACED else name for name in pipeline.passes]
    return pipeline


def _register() -> None:
    from coremltools.converters.mil.mil.passes.defs.cleanup.loop_invariant_elimination import loop_invariant_elimination
    from coremltools.converters.mil.mil.passes.graph_pass import AbstractGraphPass
    from coremltools.converters.mil.mil.passes.pass_registry import PASS_REGISTRY

    if f"{_NAMESPACE}::{_REPLACED[_FUSE]}" in PASS_REGISTRY:
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

    class EliminateTrueInvariants(loop_invariant_elimination):  # type: ignore[misc]
        """coremltools' pass, of variables that each round returns as it received them."""

        @staticmethod
        def _detect_loop_invariants(while_op: Any) -> list[int]:
            body = while_op.blocks[1]
            return [number for number, (given, made) in enumerate(zip(body.inputs, body.outputs, strict=True)) if given is made]

    PASS_REGISTRY.add(_NAMESPACE, FuseExactly, override=False, name=_REPLACED[_FUSE])
    PASS_REGISTRY.add(_NAMESPACE, EliminateTrueInvariants, override=False, name=_REPLACED[_INVARIANTS])


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
