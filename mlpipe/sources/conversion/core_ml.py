"""A traced function through coremltools: its arguments, its errors, and the specification with the names that the interface says."""

from __future__ import annotations

import difflib
import re
import traceback
import warnings
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mlpipe.errors import ConversionFailed, RecipeError
from mlpipe.recipe.capabilities import DEFAULT_PRECISIONS, DEFAULT_TARGETS, SPECIFICATION_VERSIONS, coremltools_target, target_name
from mlpipe.recipe.schema.convert import Convert, DimensionRange, KeepFloat32
from mlpipe.sources.conversion.classifier import make_classifier
from mlpipe.sources.conversion.interface import InputPlan, Interface, OutputPlan, identifier
from mlpipe.sources.conversion.loops import convertible_loops
from mlpipe.sources.conversion.names import rename_features
from mlpipe.sources.conversion.operations import register_operations
from mlpipe.sources.conversion.passes import exact_pipeline
from mlpipe.sources.conversion.trace import Traced
from mlpipe.sources.conversion.unsupported import unsupported_operations
from mlpipe.sources.traceable import first_line

_COLORS = {("rgb", "float32"): "RGB", ("bgr", "float32"): "BGR", ("grayscale", "float32"): "G", ("grayscale", "float16"): "G_FLOAT16"}


@dataclass(frozen=True)
class Specification:
    """What coremltools made."""

    spec: Any
    weights_folder: Path | None
    keep_alive: Any
    """Owns the temporary folder of the weights."""


def to_core_ml(traced: Traced, interface: Interface, convert: Convert) -> Specification:
    """Return the Core ML specification.

    Errors: ConversionFailed, naming every operation that Core ML lacks; RecipeError for a target that does not exist.
    """
    import coremltools as ct

    register_operations()
    is_program = convert.to == "mlprogram"
    keep = _KeptInFloat32(convert.keep_float32)
    arguments: dict[str, Any] = {
        "source": "tensorflow",
        "convert_to": convert.to,
        "minimum_deployment_target": _target(ct, convert),
        "inputs": [_input_type(ct, plan, name) for plan, name in zip(interface.inputs, traced.input_names, strict=True)],
        "outputs": [_output_type(ct, plan, name, typed=is_program) for plan, name in zip(interface.outputs, traced.output_names, strict=True)],
        "skip_model_load": True,
        "pass_pipeline": exact_pipeline(),
    }
    if is_program:
        half = (convert.compute_precision or DEFAULT_PRECISIONS[convert.to]) == "float16"
        arguments["compute_precision"] = ct.transform.FP16ComputePrecision(op_selector=keep.may_be_half) if half else ct.precision.FLOAT32
    with warnings.catch_warnings(), convertible_loops():
        warnings.simplefilter("ignore")
        try:
            model = ct.convert([traced.function], **arguments)
        except Exception as error:
            traceback.clear_frames(error.__traceback__)  # they hold a temporary folder of coremltools, which goes with them
            raise _failure(traced, error) from error
    keep.check()
    spec = model.get_spec()
    names = _feature_names(traced, interface, is_program=is_program)
    if interface.classifier is not None and interface.scores is not None:
        (scores,) = (old for old, new in names.items() if new == interface.scores.name and old not in traced.input_names)
        made = make_classifier(spec, scores, interface.classifier)
        del names[scores]
        names |= {made["scores"]: interface.scores.name, made["label"]: interface.classifier.predicted_feature_name}
    rename_features(spec, names)
    return Specification(spec, Path(model.weights_dir) if model.weights_dir else None, model)


def _target(ct: Any, convert: Convert) -> Any:
    name = convert.minimum_deployment_target or DEFAULT_TARGETS[convert.to]
    if name not in SPECIFICATION_VERSIONS:
        raise RecipeError(f"convert.minimum_deployment_target: there is no target {name}", fix="e.g. iOS16 or macOS13")
    return getattr(ct.target, coremltools_target(name))


def _input_type(ct: Any, plan: InputPlan, name: str) -> Any:
    shape: Any = tuple(_size(ct, size) for size in plan.shape)
    if plan.enumerated:
        shape = ct.EnumeratedShapes(shapes=[list(sizes) for sizes in plan.enumerated], default=list(plan.enumerated[0]))
    if plan.image is None:
        return ct.TensorType(name=name, shape=shape, dtype=_numpy_type(plan.dtype))
    scale, bias = (1.0, [0.0] * len(plan.image.bias)) if plan.is_folded else (plan.image.scale[0], list(plan.image.bias))
    color = _color_layout(plan.image.color, plan.dtype)
    summand = bias if len(bias) > 1 else bias[0]
    return ct.ImageType(name=name, shape=shape, scale=scale, bias=summand, color_layout=color, channel_first=plan.image.layout == "nchw")


def _color_layout(color: str, dtype: str) -> Any:
    from coremltools.converters.mil.input_types import ColorLayout

    return ColorLayout(_COLORS[color, dtype])


def _size(ct: Any, size: int | DimensionRange) -> Any:
    if isinstance(size, int):
        return size
    upper = -1 if size.max is None else size.max
    return ct.RangeDim(lower_bound=size.min, upper_bound=upper, default=size.min if size.default is None else size.default)


def _output_type(ct: Any, plan: OutputPlan, name: str, *, typed: bool) -> Any:
    if plan.image is not None:
        return ct.ImageType(name=name, color_layout=_color_layout(plan.image.color, plan.dtype))
    return ct.TensorType(name=name, dtype=_numpy_type(plan.dtype)) if typed else ct.TensorType(name=name)


def _numpy_type(dtype: str) -> Any:
    import numpy as np

    return {"float32": np.float32, "float16": np.float16, "int32": np.int32}[dtype]


def _failure(traced: Traced, error: Exception) -> ConversionFailed:
    """Return what to say of an exception of coremltools: every operation that Core ML lacks, else its own words."""
    newer = re.search(r"converted model has version (\d+)|available from version (\d+) onwards", str(error))
    if newer:
        fix = f"set convert.minimum_deployment_target to {target_name(int(newer[1] or newer[2]))} or later"
        return ConversionFailed("the model needs operations that its deployment target lacks", fix=fix)
    missing = unsupported_operations(traced.function)
    if not missing:
        return ConversionFailed("coremltools cannot convert the model", why=first_line(error))
    lines = [f"{operation} ({len(nodes)}): {', '.join(nodes[:5])}{', ...' if len(nodes) > 5 else ''}" for operation, nodes in missing.items()]
    fix = "cut the graph before or behind them with `source.inputs` and `source.outputs`"
    return ConversionFailed("Core ML has no counterpart for operations of the model", why="; ".join(lines), fix=fix)


def _feature_names(traced: Traced, interface: Interface, *, is_program: bool) -> dict[str, str]:
    """Return the name that coremltools gives to a feature -> the interface's."""
    given = (*traced.input_names, *traced.output_names)
    names = (plan.name for plan in interface.features)
    return dict(zip((identifier(name) if is_program else name for name in given), names, strict=True))


@dataclass
class _KeptInFloat32:
    """Says of each operation whether it may be float16, and remembers which of the recipe's patterns matched."""

    rules: KeepFloat32
    matched: set[str] = field(default_factory=set)
    seen: set[str] = field(default_factory=set)

    def may_be_half(self, operation: Any) -> bool:
        """Return whether coremltools may turn the operation to float16."""
        names = {operation.name, identifier(operation.name)}
        hits = {f"types: {kind}" for kind in self.rules.types if kind == operation.op_type}
        hits |= {f"names: {pattern}" for pattern in self.rules.names if any(fnmatchcase(name, pattern) for name in names)}
        if operation.op_type != "const":
            self.seen |= names | {operation.op_type}
        self.matched |= hits
        return not hits

    def check(self) -> None:
        """Refuse a pattern that matched nothing: it is misspelt, and its operation is in float16."""
        for key, patterns in (("types", self.rules.types), ("names", self.rules.names)):
            for pattern in patterns:
                if f"{key}: {pattern}" not in self.matched:
                    near = difflib.get_close_matches(pattern.strip("*"), sorted(self.seen), n=3, cutoff=0.4)
                    fix = f"near: {', '.join(near)}" if near else None
                    raise RecipeError(f"convert.keep_float32.{key}: no operation matches {pattern!r}", fix=fix)
