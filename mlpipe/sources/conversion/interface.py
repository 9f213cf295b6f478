"""The interface of the Core ML model: names, types and shapes of every input and output, decided before anything is converted."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mlpipe.errors import ConversionFailed, RecipeError
from mlpipe.recipe.image_inputs import ResolvedImage, resolve_image_inputs
from mlpipe.recipe.schema.convert import Classifier, Convert, DimensionRange, ImageOutput, Input, Output
from mlpipe.sources.feature import Feature, unique_names

CORE_ML_TYPES = {
    **dict.fromkeys(("float16", "float32", "float64", "bfloat16"), "float32"),
    **dict.fromkeys(("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "bool"), "int32"),
}
"""A source's type -> the type of the Core ML feature, unless the recipe says `dtype`."""


@dataclass(frozen=True)
class InputPlan:
    """One input of the Core ML model."""

    feature: Feature
    name: str
    dtype: str
    """Of an image float32, or float16 for Core ML's 16-bit grayscale."""
    shape: tuple[int | DimensionRange, ...]
    """In the source's layout, the batch included."""
    enumerated: tuple[tuple[int, ...], ...] = ()
    """The shapes to choose from, the default first; empty where there is no such list."""
    image: ResolvedImage | None = None

    @property
    def traced_shape(self) -> list[int | None]:
        """Return the shape with None for every size that may vary."""
        if self.enumerated:
            return [sizes[0] if len(set(sizes)) == 1 else None for sizes in zip(*self.enumerated, strict=True)]
        return [size if isinstance(size, int) else None for size in self.shape]

    @property
    def is_folded(self) -> bool:
        """Whether the scale of the pixels differs by channel, which Core ML's own image scale cannot say."""
        return self.image is not None and len(set(self.image.scale)) > 1


@dataclass(frozen=True)
class OutputPlan:
    """One output of the Core ML model."""

    feature: Feature
    name: str
    dtype: str
    image: ImageOutput | None = None
    layout: str = "nhwc"
    """Of an image output, in the source."""


@dataclass(frozen=True)
class Interface:
    """Every input and output, in the source's order."""

    inputs: tuple[InputPlan, ...]
    outputs: tuple[OutputPlan, ...]
    classifier: Classifier | None
    """Its labels are a list."""
    scores: OutputPlan | None
    """The output that holds a classifier's scores."""

    @property
    def features(self) -> tuple[InputPlan | OutputPlan, ...]:
        """Return the inputs, then the outputs."""
        return (*self.inputs, *self.outputs)


def plan_interface(convert: Convert, inputs: Sequence[Feature], outputs: Sequence[Feature], names: Mapping[str, str]) -> Interface:
    """Return the interface that `convert` asks for. `names` are Core ML names that the source section asks for.

    Errors: RecipeError for what the recipe says wrongly; ConversionFailed for what Core ML cannot hold.
    """
    _refuse_unknown("inputs", convert.inputs, inputs)
    _refuse_unknown("outputs", convert.outputs, outputs)
    images = resolve_image_inputs(convert.inputs, [feature.as_dict() for feature in inputs])
    core_ml_names = _names(convert, inputs, outputs, names)
    input_plans = tuple(
        _input(feature, core_ml_names[0][feature.name], convert.inputs.get(feature.name, Input()), images.get(feature.name), convert) for feature in inputs
    )
    output_plans = tuple(_output(feature, core_ml_names[1][feature.name], convert.outputs.get(feature.name, Output()), convert) for feature in outputs)
    scores = _scores(convert.classifier, output_plans) if convert.classifier else None
    return Interface(input_plans, output_plans, convert.classifier, scores)


def _refuse_unknown(section: str, declared: Mapping[str, object], features: Sequence[Feature]) -> None:
    known = [feature.name for feature in features]
    for name in declared:
        if name not in known:
            raise RecipeError(f"convert.{section}.{name}: the source has no such {section[:-1]}", fix=f"its {section} are: {', '.join(sorted(known))}")


def identifier(name: str) -> str:
    """Return the name with what Core ML's names cannot hold replaced: `a/b:1` becomes `a_b_1`."""
    valid = re.sub(r"[^A-Za-z0-9_]", "_", name)
    return valid if re.match(r"[A-Za-z_]", valid) else f"_{valid}"


def _names(convert: Convert, inputs: Sequence[Feature], outputs: Sequence[Feature], names: Mapping[str, str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the Core ML names of inputs and of outputs. Names that the recipe gives are kept as they are; others give way."""
    asked: list[str | None] = []
    for section, features in (("inputs", inputs), ("outputs", outputs)):
        declared: Mapping[str, Input | Output] = getattr(convert, section)
        for feature in features:
            entry = declared.get(feature.name)
            rename = (entry.rename if entry else None) or names.get(feature.name)
            if rename is not None and convert.to == "mlprogram" and identifier(rename) != rename:
                what = f"convert.{section}.{feature.name}.rename: {rename!r} is no name for an ML Program"
                raise RecipeError(what, why="letters, digits and underscores, not starting with a digit", fix=f"call it {identifier(rename)}")
            asked.append(rename)
    fixed = [name for name in (*asked, convert.classifier.predicted_feature_name if convert.classifier else None) if name is not None]
    for name in fixed:
        if fixed.count(name) > 1:
            raise RecipeError(f"convert: two features of the Core ML model would be called {name}")
    free = [feature.name for feature, name in zip((*inputs, *outputs), asked, strict=True) if name is None]
    given = iter(unique_names([*fixed, *(identifier(name) for name in free)])[len(fixed) :])
    chosen = [name if name is not None else next(given) for name in asked]
    pairs = list(zip((feature.name for feature in (*inputs, *outputs)), chosen, strict=True))
    return dict(pairs[: len(inputs)]), dict(pairs[len(inputs) :])


def _type(where: str, feature: Feature, declared: str | None, convert: Convert) -> str:
    if feature.dtype not in CORE_ML_TYPES:
        fix = "cut the graph behind it with `source.inputs`" if where.startswith("convert.inputs") else "fetch another tensor with `source.outputs`"
        raise ConversionFailed(f"{where}: Core ML has no {feature.dtype} features", fix=fix)
    dtype = declared or CORE_ML_TYPES[feature.dtype]
    if dtype == "float16" and convert.to == "neuralnetwork":
        raise RecipeError(f"{where}.dtype: a NeuralNetwork has no float16 features", fix="use `to: mlprogram` from iOS16 on")
    return dtype


def _input(feature: Feature, name: str, declared: Input, image: ResolvedImage | None, convert: Convert) -> InputPlan:
    where = f"convert.inputs.{feature.name}"
    dtype = _type(where, feature, declared.dtype, convert)
    if image is not None:
        if CORE_ML_TYPES[feature.dtype] == "int32" and (set(image.scale) != {1.0} or set(image.bias) != {0.0}):
            raise RecipeError(f"{where}.image: the source takes {feature.dtype} pixels, which no scale or bias can be applied to")
        dtype = declared.dtype or "float32"
    if feature.shape is None and declared.shape is None and not declared.enumerated_shapes:
        raise RecipeError(f"{where}: the source does not say which shape it takes", fix=f"say `shape` under {where}")
    enumerated = _enumerated(where, feature, declared)
    shape = enumerated[0] if enumerated else _shape(where, feature, declared, convert)
    return InputPlan(feature, name, dtype, shape, enumerated, image)


def _enumerated(where: str, feature: Feature, declared: Input) -> tuple[tuple[int, ...], ...]:
    if not declared.enumerated_shapes:
        return ()
    shapes = [tuple(shape) for shape in declared.enumerated_shapes]
    for shape in shapes:
        _check_fits(where, feature, shape)
    default = tuple(declared.default_shape) if declared.default_shape else shapes[0]
    return (default, *(shape for shape in shapes if shape != default))


def _shape(where: str, feature: Feature, declared: Input, convert: Convert) -> tuple[int | DimensionRange, ...]:
    if declared.shape is not None:
        _check_fits(where, feature, declared.shape)
        for size in declared.shape:
            if isinstance(size, DimensionRange) and size.max is None and convert.to == "mlprogram":
                raise RecipeError(f"{where}.shape: an ML Program needs an upper bound", fix="give the range a `max`, or use `to: neuralnetwork`")
        return tuple(declared.shape)
    assert feature.shape is not None
    shape = [1 if axis == 0 and size is None else size for axis, size in enumerate(feature.shape)]
    if None in shape:
        what = f"{where}: the source's shape {list(feature.shape)} leaves sizes open"
        raise RecipeError(what, fix=f"say `shape` under {where}, with numbers or ranges such as {{min: 32, max: 512}}")
    return tuple(size for size in shape if size is not None)


def _check_fits(where: str, feature: Feature, shape: Sequence[int | DimensionRange]) -> None:
    """Refuse a shape that the source does not take."""
    if feature.shape is None:
        return
    fits = len(shape) == len(feature.shape) and all(own is None or own == size for own, size in zip(feature.shape, shape, strict=True))
    if not fits:
        sizes = [size if isinstance(size, int) else f"{size.min}..{'' if size.max is None else size.max}" for size in shape]
        raise RecipeError(f"{where}: shape {sizes} does not fit the source's {list(feature.shape)}")


def _output(feature: Feature, name: str, declared: Output, convert: Convert) -> OutputPlan:
    where = f"convert.outputs.{feature.name}"
    dtype = _type(where, feature, declared.dtype, convert)
    if declared.image is None:
        return OutputPlan(feature, name, dtype)
    channels = 1 if declared.image.color == "grayscale" else 3
    shape = feature.shape or ()
    layouts = [layout for layout, axis in (("nhwc", 3), ("nchw", 1)) if len(shape) == 4 and shape[axis] == channels]
    if not layouts:
        raise RecipeError(f"{where}.image: shape {list(shape)} has no axis of {channels} channel(s) for color {declared.image.color}")
    return OutputPlan(feature, name, declared.dtype or "float32", declared.image, layouts[0])


def _scores(classifier: Classifier, outputs: Sequence[OutputPlan]) -> OutputPlan:
    """Return the output with the scores, after counting its labels."""
    named = [output for output in outputs if classifier.probabilities in (None, output.feature.name, output.name)]
    if len(named) != 1:
        known = ", ".join(output.feature.name for output in outputs)
        raise RecipeError("convert.classifier.probabilities: say which output holds the scores", fix=f"one of: {known}")
    scores, labels = named[0], classifier.class_labels
    assert not isinstance(labels, str), "the step reads the file"
    if scores.dtype != "float32" or scores.image is not None:
        raise RecipeError(f"convert.outputs.{scores.feature.name}: a classifier's scores are float32 numbers", fix="drop its `dtype` and `image`")
    size = scores.feature.shape[-1] if scores.feature.shape else None
    if size is not None and size != len(labels):
        raise RecipeError(f"convert.classifier.class_labels: {len(labels)} labels for {size} scores in output {scores.feature.name}")
    if len(set(labels)) != len(labels):
        twice = sorted({str(label) for label in labels if list(labels).count(label) > 1})
        raise RecipeError(f"convert.classifier.class_labels: {', '.join(twice)} stands there twice", why="the scores are a dictionary by label")
    return scores
