"""Attention as one operation."""

from __future__ import annotations

import math

import numpy as np

from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sizes import size_of
from mlpipe.runtime.mlprogram.values import Tensor


@op("scaled_dot_product_attention", since="iOS18")
def scaled_dot_product_attention(build: Build, query: Tensor, key: Tensor, value: Tensor, attn_mask: Tensor | None = None) -> str:
    """Return softmax(query x key transposed / sqrt(embedding) + mask) x value; a boolean mask lets through where it is true."""
    swapped = list(range(key.rank))
    swapped[-2:] = swapped[-1], swapped[-2]
    embedding = size_of(build, query, -1)
    root = build.floats(math.sqrt(embedding)) if isinstance(embedding, int) else build.add("Sqrt", build.graph.cast(embedding, np.float32))
    scores = build.add("Div", build.add("MatMul", query, build.add("Transpose", key, perm=swapped)), root)
    if attn_mask is not None and attn_mask.dtype == "bool":
        scores = build.add("Where", attn_mask, scores, build.floats(-math.inf))
    elif attn_mask is not None:
        scores = build.add("Add", scores, attn_mask)
    return build.add("MatMul", build.add("Softmax", scores, axis=-1), value)
