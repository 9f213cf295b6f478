"""TensorFlow's arrays with `dynamic_size`, which coremltools 9.0 takes for lists of fixed length: whether they grow stands where they are written."""

from __future__ import annotations

from typing import Any

import numpy as np

GROWS = "mlpipe_grows"
"""The attribute that a list is made with."""


def mark_growing_lists(ensemble: Any) -> None:
    """Note on the lists of coremltools' graphs whether any of them grows: which one does not, nothing here can tell."""
    nodes = [node for function in ensemble.functions.values() for node in function.graph.values()]
    if any(node.op == "TensorListSetItem" and node.attr.get("resize_if_index_out_of_bounds") for node in nodes):
        for node in nodes:
            if node.op == "TensorListReserve":
                node.attr[GROWS] = True


def make_list(mb: Any, node: Any, element_shape: Any, length: Any) -> Any:
    """Return a list that may grow, or None where coremltools' own will do. Its elements have the shape of those that are written, if it has none itself."""
    from coremltools.converters.mil.mil import types

    if not node.attr.get(GROWS):
        return None
    given = {"init_length": length, "dtype": types.builtin_to_string(node.attr["element_dtype"]), "dynamic_length": True, "name": node.name}
    if element_shape.val is None or (np.atleast_1d(element_shape.val) == -1).any():
        return mb.tf_make_list(**given)
    return mb.make_list(elem_shape=tuple(element_shape.val.tolist()), **given)
