"""Arrays as samples: which array feeds which input, and what becomes of its values."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np

from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.schema.compare import Samples
from mlpipe.samples.arrays import ArrayFile, array_keys, open_array
from mlpipe.samples.images import pixels_of
from mlpipe.samples.ports import Array, Port, as_type, fed_input, fits

Reader = Callable[[], Iterator[Callable[[], Mapping[str, Array]]]]


def array_samples(samples: Samples, path: Path, ports: Mapping[str, Port]) -> tuple[int, Reader]:
    """Return how many samples a .npy or .npz holds, and what reads them.

    Errors: SampleUnreadable where an input has no array, lengths differ, or shapes or types do not fit the inputs.
    """
    arrays = _open(samples, path, ports)
    lengths = {array.shape[0] for array in arrays.values()}
    if len(lengths) != 1:
        listed = ", ".join(f"{name} {array.shape[0]}" for name, array in arrays.items())
        raise SampleUnreadable(f"{path.name}: the inputs have different numbers of samples ({listed})")
    for name, array in arrays.items():
        _check(ports[name], array, samples)

    def read() -> Iterator[Callable[[], Mapping[str, Array]]]:
        rows = zip(*(array.rows() for array in arrays.values()), strict=True)
        for row in rows:
            yield partial(_values, dict(zip(arrays, row, strict=True)), ports, samples)

    return lengths.pop(), read


def _open(samples: Samples, path: Path, ports: Mapping[str, Port]) -> dict[str, ArrayFile]:
    keys = array_keys(path)
    if keys is None:
        return {fed_input(samples, ports): open_array(path, None)}
    unknown = sorted(set(samples.keys) - set(ports))
    if unknown:
        raise SampleUnreadable(f"samples.keys: the model has no input {unknown[0]!r}", fix=f"its inputs are: {', '.join(ports)}")
    if len(ports) == 1 and len(keys) == 1 and not samples.keys:
        return {next(iter(ports)): open_array(path, keys[0])}
    return {name: open_array(path, samples.keys.get(name, name)) for name in ports}


def _check(port: Port, array: ArrayFile, samples: Samples) -> None:
    label = f"{array.path.name}: {array.key or 'the array'}"
    shape = array.shape[1:]
    if port.takes_pixels:
        if array.dtype != np.uint8 or len(shape) not in {2, 3} or (len(shape) == 3 and shape[2] not in {1, 3}):
            raise SampleUnreadable(
                f"{label} has {array.dtype} samples of shape {list(shape)}, and input {port.name!r} is an image",
                fix="give pixels 0 to 255 as uint8, height x width, or height x width x 1 or 3 (red first)",
            )
    elif not fits(shape, port.shape):
        wanted = ["any" if size is None else size for size in port.shape]
        raise SampleUnreadable(f"{label} has samples of shape {list(shape)}, and input {port.name!r} takes {wanted}", why="the first axis counts the samples")
    elif array.dtype.kind == "f" and port.dtype.kind in "iub" and (samples.scale, samples.bias) == (1.0, 0.0):
        raise SampleUnreadable(f"{label} holds {array.dtype}, and input {port.name!r} takes {port.dtype}", fix="save it as whole numbers")


def _values(row: Mapping[str, Array], ports: Mapping[str, Port], samples: Samples) -> Mapping[str, Array]:
    return {name: _value(ports[name], value, samples) for name, value in row.items()}


def _value(port: Port, value: Array, samples: Samples) -> Array:
    if not port.takes_pixels:
        plain = (samples.scale, samples.bias) == (1.0, 0.0)
        return as_type(port, value if plain else value.astype(np.float64) * samples.scale + samples.bias)
    from PIL import Image

    assert port.image is not None
    pixels = value[:, :, 0] if value.ndim == 3 and value.shape[2] == 1 else value
    image = Image.fromarray(np.ascontiguousarray(pixels))
    return pixels_of(image, port.image, samples)
