"""A recipe's samples: named, in order, and read one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import count as counting
from itertools import islice
from pathlib import Path
from typing import Any

from mlpipe.errors import SampleUnreadable
from mlpipe.recipe.image_inputs import ResolvedImage
from mlpipe.recipe.schema.compare import Samples, Synthetic
from mlpipe.samples.array_samples import array_samples
from mlpipe.samples.arrays import array_keys, open_array
from mlpipe.samples.files import sample_ids
from mlpipe.samples.images import pixels_of, read_image
from mlpipe.samples.ports import Array, Port, fed_input, numbers_of, ports_of
from mlpipe.samples.synthetic import synthetic_value


@dataclass(frozen=True)
class Sample:
    """One sample: pixels (uint8, height x width x channels, red first) for declared images, else the source's own numbers without the batch axis."""

    id: str
    values: Mapping[str, Array] = field(default_factory=dict)
    error: str | None = None
    """Why the sample could not be read; then there are no values."""


@dataclass(frozen=True)
class SampleSet:
    """Samples that can be gone through as often as wanted, in memory for one."""

    ids: tuple[str, ...]
    ports: Mapping[str, Port]
    read: Callable[[], Iterator[Callable[[], Mapping[str, Array]]]]

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[Sample]:
        """Yield every sample in order; one that cannot be read carries its error."""
        for name, value in zip(self.ids, self.read(), strict=True):
            try:
                yield Sample(name, value())
            except SampleUnreadable as error:
                yield Sample(name, error=str(error))

    def source_feed(self, sample: Sample) -> dict[str, Array]:
        """Return what the source model is fed: its own numbers, layout and types, with the batch axis."""
        feed = {}
        for name, port in self.ports.items():
            value = sample.values[name]
            numbers = numbers_of(port, value) if port.takes_pixels else value
            feed[name] = numbers[None] if port.batched else numbers
        return feed

    def pixel_feed(self, sample: Sample, names: Mapping[str, str] | None = None) -> dict[str, Array]:
        """Return what a Core ML model is fed, under its own names: pixels for image inputs, else what the source is fed."""
        feed, names = {}, names or {}
        for name, port in self.ports.items():
            value = sample.values[name]
            feed[names.get(name, name)] = value if port.takes_pixels or not port.batched else value[None]
        return feed


def open_samples(
    samples: Samples,
    files: Mapping[str, tuple[Path, ...]],
    described_inputs: Sequence[Mapping[str, Any]],
    images: Mapping[str, ResolvedImage],
) -> SampleSet:
    """Return the samples for a model with these inputs (see `ports_of`). `files["samples"]` are the image files, sorted, or the one array file.

    Errors: SampleUnreadable where the samples as a whole do not fit the model; a single bad sample is reported where it is read.
    """
    ports = ports_of(described_inputs, images, samples)
    paths = files.get("samples", ())
    if samples.images is not None:
        return _image_set(samples, paths, ports)
    if samples.arrays is not None:
        total, read = array_samples(samples, paths[0], ports)
        return _numbered(total, samples.limit, ports, read)
    if samples.synthetic is None:
        raise SampleUnreadable("samples: say `images`, `arrays` or `synthetic`")
    settings = samples.synthetic

    def draw() -> Iterator[Callable[[], Mapping[str, Array]]]:
        for index in counting():
            yield partial(_synthetic, ports, settings, index)

    return _numbered(settings.count, samples.limit, ports, draw)


def _synthetic(ports: Mapping[str, Port], settings: Synthetic, index: int) -> Mapping[str, Array]:
    return {name: synthetic_value(port, settings, index) for name, port in ports.items()}


def sample_names(samples: Samples, files: Mapping[str, tuple[Path, ...]]) -> tuple[str, ...]:
    """Return the samples' names without reading them, for outputs that were computed elsewhere."""
    paths = files.get("samples", ())
    if samples.images is not None:
        return tuple(sample_ids(paths)[: samples.limit])
    if samples.arrays is not None:
        total = open_array(paths[0], next(iter(array_keys(paths[0]) or ()), None)).shape[0]
    else:
        total = samples.synthetic.count if samples.synthetic else 0
    return tuple(map(str, range(total if samples.limit is None else min(total, samples.limit))))


def _numbered(total: int, limit: int | None, ports: Mapping[str, Port], read: Callable[[], Iterator[Callable[[], Mapping[str, Array]]]]) -> SampleSet:
    n = total if limit is None else min(total, limit)
    return SampleSet(tuple(map(str, range(n))), ports, lambda: islice(read(), n))


def _image_set(samples: Samples, paths: Sequence[Path], ports: Mapping[str, Port]) -> SampleSet:
    name = fed_input(samples, ports)
    port = ports[name]
    image = port.image
    assert image is not None

    def value(path: Path) -> Mapping[str, Array]:
        pixels = pixels_of(read_image(path), image, samples)
        return {name: pixels if port.takes_pixels else numbers_of(port, pixels)}

    return SampleSet(tuple(sample_ids(paths)[: samples.limit]), ports, lambda: (partial(value, path) for path in paths[: samples.limit]))
