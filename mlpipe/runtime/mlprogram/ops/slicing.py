"""Pieces of tensors."""

from __future__ import annotations

import numpy as np

from mlpipe.runtime.lowered import UnsupportedLayerError
from mlpipe.runtime.mlprogram.op import Build, op
from mlpipe.runtime.mlprogram.ops.sizes import scalar, size_of
from mlpipe.runtime.mlprogram.values import Tensor

END = np.iinfo(np.int64).max
START = np.iinfo(np.int64).min


@op("slice_by_index", keeps_grid=True)
def slice_by_index(
    build: Build,
    x: Tensor,
    begin: Tensor,
    end: Tensor,
    stride: tuple[int, ...] | None = None,
    begin_mask: tuple[bool, ...] | None = None,
    end_mask: tuple[bool, ...] | None = None,
    squeeze_mask: tuple[bool, ...] | None = None,
) -> str:
    """Return x[begin:end:stride] as numpy has it.

    A masked begin or end is the first or last that the stride's direction reaches; a squeezed dimension is indexed at its begin and removed.
    """
    squeezed = squeeze_mask or (False,) * x.rank
    steps = tuple(1 if single else step for step, single in zip(stride or (1,) * x.rank, squeezed, strict=True))
    begins, ends = slice_bounds(build, begin, end, steps, begin_mask, end_mask, squeezed)
    result = build.add("Slice", x, begins, ends, build.int64(*range(x.rank)), build.int64(*steps))
    if not any(squeezed):
        return result
    return build.add("Squeeze", result, build.int64(*(axis for axis, single in enumerate(squeezed) if single)))


def slice_bounds(
    build: Build,
    begin: Tensor,
    end: Tensor,
    steps: tuple[int, ...],
    begin_mask: tuple[bool, ...] | None,
    end_mask: tuple[bool, ...] | None,
    squeezed: tuple[bool, ...],
) -> tuple[str, str]:
    """Return begins and ends as ONNX's Slice takes them."""
    no_mask = (False,) * len(steps)
    first = [None if not masked else (0 if step > 0 else END) for masked, step in zip(begin_mask or no_mask, steps, strict=True)]
    # A masked begin of a squeezed dimension is 0, as its index.
    last = [None if not masked else (END if step > 0 else START) for masked, step in zip(end_mask or no_mask, steps, strict=True)]
    begins = _merged(build, begin, first)
    ends = _merged(build, end, last)
    if any(squeezed):
        following = build.add("Add", begins, build.int64(1))
        # The element after the last one is not index 0.
        following = build.add("Where", build.add("Equal", following, build.int64(0)), build.int64(END), following)
        ends = build.add("Where", build.graph.constant(list(squeezed), np.bool_), following, ends)
    return begins, ends


def _merged(build: Build, given: Tensor, masked: list[int | None]) -> str:
    """Return the indices with the masked ones replaced."""
    if given.value is not None:
        merged = [own if replacement is None else replacement for own, replacement in zip(given.value.tolist(), masked, strict=True)]
        return build.int64(*merged)
    if not any(replacement is not None for replacement in masked):
        return build.indices(given)
    mask = build.graph.constant([replacement is not None for replacement in masked], np.bool_)
    return build.add("Where", mask, build.int64(*(replacement or 0 for replacement in masked)), build.indices(given))


@op("slice_by_size", keeps_grid=True)
def slice_by_size(build: Build, x: Tensor, begin: Tensor, size: Tensor) -> str:
    """Return `size` elements from `begin` on; a size of -1 takes what is left."""
    begins, sizes = build.indices(begin), build.indices(size)
    shape = build.graph.shape_value(x.name)
    from_start = build.add("Where", build.add("Less", begins, build.int64(0)), build.add("Add", begins, shape), begins)
    rest = build.add("Equal", sizes, build.int64(-1))
    ends = build.add("Where", rest, shape, build.add("Add", from_start, sizes))
    return build.add("Slice", x, from_start, ends)


@op("split", keeps_grid=True)
def split(build: Build, x: Tensor, axis: int, num_splits: int | None = None, split_sizes: Tensor | None = None) -> list[str]:
    """Return pieces along an axis: of the given sizes, or all of one size."""
    count = len(build.outputs)
    if split_sizes is not None:
        return build.add_many("Split", count, x, build.indices(split_sizes), axis=axis)
    if num_splits != count:
        raise UnsupportedLayerError(f"num_splits is {num_splits}, and it has {count} outputs")
    return build.add_many("Split", count, x, axis=axis, num_outputs=count)


@op("crop", keeps_grid=True)
def crop(build: Build, x: Tensor, crop_height: tuple[int, ...], crop_width: tuple[int, ...]) -> str:
    """Return x without rows and columns at its borders."""
    (top, bottom), (left, right) = crop_height, crop_width
    ends = build.int64(-bottom or END, -right or END)
    return build.add("Slice", x, build.int64(top, left), ends, build.int64(-2, -1))


@op("reverse", keeps_grid=True)
def reverse(build: Build, x: Tensor, axes: tuple[int, ...] | None = None) -> str:
    """Return x with the order of elements reversed along the axes, or along all."""
    chosen = tuple(range(x.rank)) if axes is None else axes
    count = len(chosen)
    return build.add("Slice", x, build.int64(*[END] * count), build.int64(*[START] * count), build.int64(*chosen), build.int64(*[-1] * count))


@op("reverse_sequence", keeps_grid=True)
def reverse_sequence(build: Build, x: Tensor, lengths: Tensor, seq_axis: int = 0, batch_axis: int = 0) -> str:
    """Return x with the first lengths[i] elements along seq_axis in reverse order, for each place i along batch_axis."""
    sequence, batch = x.axis(seq_axis), x.axis(batch_axis)
    if sequence == batch:
        raise UnsupportedLayerError("seq_axis and batch_axis are the same")
    steps = build.add("Range", build.graph.constant(0, np.int64), scalar(build, size_of(build, x, sequence)), build.graph.constant(1, np.int64))
    steps = build.add("Unsqueeze", steps, build.int64(*(axis for axis in range(x.rank) if axis != sequence)))
    counts = build.add("Unsqueeze", build.indices(lengths), build.int64(*(axis for axis in range(x.rank) if axis != batch)))
    mirrored = build.add("Sub", build.add("Sub", counts, build.int64(1)), steps)
    places = build.add("Where", build.add("Less", steps, counts), mirrored, steps)
    return build.add("GatherElements", x, build.add("Expand", places, build.graph.shape_value(x.name)), axis=sequence)
