"""A model's inputs and outputs as its specification describes them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from mlpipe.errors import InvalidInput, ModelFileInvalid, NotExecutable

Kind = Literal["array", "image", "int64", "double", "string", "dictionary", "sequence", "state"]
Color = Literal["grayscale", "rgb", "bgr", "grayscale_float16"]

ARRAY_TYPES = {65568: "float32", 65600: "float64", 131104: "int32", 131080: "int8", 65552: "float16"}
"""The specification's numbers of element types."""

MAIN = "main"
"""The function of a model that has only one."""

COLORS: dict[int, Color] = {10: "grayscale", 20: "rgb", 30: "bgr", 40: "grayscale_float16"}


@dataclass(frozen=True)
class Sizes:
    """The sizes that a feature accepts: one, a list, or a range per dimension."""

    default: tuple[int, ...]
    """What an input that is not fed has: the sizes that the model names, else the first or the smallest. Empty where it accepts any shape."""
    enumerated: tuple[tuple[int, ...], ...] = ()
    ranges: tuple[tuple[int, int | None], ...] = ()
    """Lowest and highest size of each dimension; None is unbounded."""

    def accept(self, shape: Sequence[int]) -> bool:
        """Return whether an array of this shape may be fed."""
        if self.enumerated:
            return tuple(shape) in self.enumerated
        if self.ranges:
            return len(shape) == len(self.ranges) and self.refuses(shape) is None
        return not self.default or tuple(shape) == self.default

    def refuses(self, shape: Sequence[int]) -> str | None:
        """Return why a shape may not be fed, in the words of Core ML, which people search for; None where no more can be said than what is accepted."""
        if self.enumerated:
            return f"MultiArray Shape ({' x '.join(map(str, shape))}) was not in enumerated set of allowed shapes"
        for axis, (size, (low, high)) in enumerate(zip(shape, self.ranges, strict=False)):
            if len(shape) == len(self.ranges) and not (low <= size and (high is None or size <= high)):
                return f"Size ({size}) of dimension ({axis}) is not in allowed range ({low}..{'' if high is None else high})"
        return None

    def dims(self) -> tuple[int | None, ...]:
        """Return the sizes of a graph input: None where more than one size is accepted."""
        if self.enumerated:
            rank = len(self.enumerated[0])
            columns = [{shape[axis] for shape in self.enumerated} for axis in range(rank)]
            return tuple(column.pop() if len(column) == 1 else None for column in columns)
        if self.ranges:
            return tuple(low if low == high else None for low, high in self.ranges)
        return self.default

    def __str__(self) -> str:
        """Return the accepted sizes as people write them: `1x3x8..16`."""
        if self.enumerated:
            return " or ".join("x".join(map(str, shape)) for shape in self.enumerated)
        if self.ranges:
            return "x".join(str(low) if low == high else f"{low}..{'' if high is None else high}" for low, high in self.ranges)
        return "x".join(map(str, self.default)) or "any shape"


@dataclass(frozen=True)
class Feature:
    """One input or output."""

    name: str
    kind: Kind
    dtype: str = ""
    """Element type of an array or a state; key type (`int64`, `string`) of a dictionary."""
    sizes: Sizes = Sizes(())
    """Shape of an array or a state; height and width of an image."""
    color: Color | None = None
    optional: bool = False
    default: float | None = None
    """What an optional array that is not fed is filled with; None where the model does not say."""

    def __str__(self) -> str:
        """Return the type as messages show it: `float32 array 1x3x8x8`, `rgb image 8x8`."""
        if self.kind in ("array", "state"):
            return f"{self.dtype} {self.kind} {self.sizes}"
        if self.kind == "dictionary":
            return f"dictionary of {self.dtype} keys and numbers"
        return f"{self.color} image {self.sizes} (height x width)" if self.kind == "image" else self.kind

    @property
    def channels(self) -> int:
        """Number of channels of an image."""
        return 3 if self.color in ("rgb", "bgr") else 1


@dataclass(frozen=True)
class Interface:
    """What a model, or one function of it, takes, gives and remembers."""

    function: str
    """The function that computes it; `main` unless the model has several."""
    inputs: tuple[Feature, ...]
    outputs: tuple[Feature, ...]
    states: tuple[Feature, ...] = ()
    predicted: str = ""
    """The output that receives a classifier's label."""
    probabilities: str = ""
    """The output that receives a classifier's dictionary."""


def interface(spec: Any, function: str | None = None) -> Interface:
    """Return the interface of a function; of the default function where none is named.

    Errors: InvalidInput for a function that the model does not have; ModelFileInvalid where its default function is missing.
    """
    described = spec.description
    names = [each.name for each in described.functions] or [MAIN]
    name = function or described.defaultFunctionName or MAIN
    if name not in names:
        known = "its only function is 'main'" if names == [MAIN] else f"its functions are {', '.join(map(repr, names))}"
        error = InvalidInput if function else ModelFileInvalid
        raise error(f"the model has no function {name!r}", fix=known)
    if described.functions:
        described = described.functions[names.index(name)]
    states = features(described.state)
    return Interface(name, features(described.input), features(described.output), states, described.predictedFeatureName, described.predictedProbabilitiesName)


def features(descriptions: Iterable[Any]) -> tuple[Feature, ...]:
    """Return the features of `spec.description.input` or `.output`.

    Errors: NotExecutable for a type that no specification up to iOS 26 has.
    """
    return tuple(_feature(description.name, description.type) for description in descriptions)


def _feature(name: str, declared: Any) -> Feature:
    optional = bool(declared.isOptional)
    kind = declared.WhichOneof("Type")
    if kind == "multiArrayType":
        array = declared.multiArrayType
        which = array.WhichOneof("defaultOptionalValue")
        default = getattr(array, which) if which else None
        return Feature(name, "array", _element_type(name, array), _array_sizes(array), optional=optional, default=default)
    if kind == "stateType":
        array = declared.stateType.arrayType
        return Feature(name, "state", _element_type(name, array), _array_sizes(array))
    if kind == "imageType":
        image = declared.imageType
        if image.colorSpace not in COLORS:
            raise NotExecutable(f"feature {name!r} has a colour space that mlpipe does not know", why=f"number {image.colorSpace}")
        return Feature(name, "image", sizes=_image_sizes(image), color=COLORS[image.colorSpace], optional=optional)
    if kind == "dictionaryType":
        keys = "int64" if declared.dictionaryType.WhichOneof("KeyType") == "int64KeyType" else "string"
        return Feature(name, "dictionary", keys, optional=optional)
    kinds: dict[str, Kind] = {"int64Type": "int64", "doubleType": "double", "stringType": "string", "sequenceType": "sequence"}
    if kind not in kinds:
        raise NotExecutable(f"feature {name!r} has a type that mlpipe does not know", why=str(kind))
    return Feature(name, kinds[kind], optional=optional)


def _element_type(name: str, array: Any) -> str:
    if array.dataType not in ARRAY_TYPES:
        raise NotExecutable(f"feature {name!r} has an element type that mlpipe does not know", why=f"number {array.dataType}")
    return ARRAY_TYPES[array.dataType]


def _array_sizes(array: Any) -> Sizes:
    default = tuple(map(int, array.shape))
    flexibility = array.WhichOneof("ShapeFlexibility")
    if flexibility == "enumeratedShapes":
        return _enumerated(default, [tuple(map(int, shape.shape)) for shape in array.enumeratedShapes.shapes])
    if flexibility == "shapeRange":
        return _ranged(default, [_range(sizes) for sizes in array.shapeRange.sizeRanges])
    return Sizes(default)


def _image_sizes(image: Any) -> Sizes:
    named = (int(image.height), int(image.width))
    default = named if all(named) else ()
    flexibility = image.WhichOneof("SizeFlexibility")
    if flexibility == "enumeratedSizes":
        return _enumerated(default, [(int(size.height), int(size.width)) for size in image.enumeratedSizes.sizes])
    if flexibility == "imageSizeRange":
        return _ranged(default, [_range(image.imageSizeRange.heightRange), _range(image.imageSizeRange.widthRange)])
    return Sizes(named)


def _enumerated(default: tuple[int, ...], shapes: list[tuple[int, ...]]) -> Sizes:
    return Sizes(default or (shapes[0] if shapes else ()), enumerated=tuple(shapes))


def _ranged(default: tuple[int, ...], ranges: list[tuple[int, int | None]]) -> Sizes:
    return Sizes(default or tuple(low for low, _ in ranges), ranges=tuple(ranges))


def _range(sizes: Any) -> tuple[int, int | None]:
    return int(sizes.lowerBound), None if sizes.upperBound < 0 else int(sizes.upperBound)
