"""Merging of shared defaults under a recipe."""

from __future__ import annotations

from mlpipe.recipe.nodes import Node


def deep_merge(under: Node, over: Node) -> Node:
    """Return `over` on top of `under`: mappings are merged key by key, everything else, lists too, is replaced.

    Every value keeps the place where it was written.
    """
    if not isinstance(under.value, dict) or not isinstance(over.value, dict):
        return over
    merged = dict(under.mapping)
    for key, node in over.mapping.items():
        merged[key] = deep_merge(merged[key], node) if key in merged else node
    return over._replace(value=merged)
