"""Which operations of a TensorFlow function coremltools cannot convert: all of them, where coremltools itself stops at the first."""

from __future__ import annotations

from typing import Any

STRUCTURAL = frozenset(
    {"If", "StatelessIf", "While", "StatelessWhile", "PartitionedCall", "StatefulPartitionedCall", "NoOp", "Assert", "Placeholder", "_Arg", "_Retval"}
)
"""Operations that coremltools rewrites or drops before it converts the rest."""


def unsupported_operations(function: Any) -> dict[str, list[str]]:
    """Return operation -> the names of its nodes, after constants were folded; empty where every one has a counterpart."""
    from coremltools.converters.mil.frontend.tensorflow.tf_op_registry import _TF_OPS_REGISTRY
    from coremltools.converters.mil.frontend.tensorflow2.load import TF2Loader

    graph = TF2Loader([function], inputs=None, outputs=None)._graph_def_from_concrete_fn([function])  # noqa: SLF001 (no public way to see the graph it converts)
    found: dict[str, list[str]] = {}
    for nodes in (graph.node, *(inner.node_def for inner in graph.library.function)):
        for node in nodes:
            if node.op not in _TF_OPS_REGISTRY and node.op not in STRUCTURAL:
                found.setdefault(node.op, []).append(node.name)
    return {operation: sorted(names) for operation, names in sorted(found.items())}
