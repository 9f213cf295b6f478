"""What the declared format and deployment target cannot hold, with the target or the method that can."""

from __future__ import annotations

from mlpipe.recipe import capabilities as can
from mlpipe.recipe.mistakes import Mistakes, one_of
from mlpipe.recipe.nodes import KeyPath, Node
from mlpipe.recipe.schema.convert import Convert, DimensionRange, Target
from mlpipe.recipe.schema.quantize import Method, QuantizeStep


def node_at(tree: Node, path: KeyPath) -> Node:
    """Return the node at a path, or the deepest one on the way to it."""
    for part in path:
        children = tree.mapping if isinstance(part, str) else dict(enumerate(tree.items))
        if part not in children:
            break
        tree = children[part]  # type: ignore[index]
    return tree


class ConvertChecks:
    """The checks of `convert:`."""

    def __init__(self, convert: Convert, recipe: Node, mistakes: Mistakes) -> None:
        """`convert` has its defaults filled in, `recipe` is what was written."""
        self._convert, self._recipe, self._mistakes = convert, recipe, mistakes
        self._format: Target = convert.to
        self._holder = can.FORMAT_NAMES[convert.to]

    def run(self) -> None:
        """Add everything that the target cannot hold to the mistakes."""
        self._target()
        self._precision()
        self._features()
        self._shapes()
        self._names()

    def _add(self, path: KeyPath, message: str) -> None:
        self._mistakes.value(node_at(self._recipe, ("convert", *path)), ("convert", *path), message)

    @property
    def _specification(self) -> int:
        return can.SPECIFICATION_VERSIONS.get(self._convert.minimum_deployment_target or "", 0)

    def _needs(self, specification: int) -> str:
        target = self._convert.minimum_deployment_target or "iOS"
        return f"an ML Program for {can.target_name(specification, target)} or newer (this is {self._holder} for {target})"

    def _target(self) -> None:
        target, held = self._convert.minimum_deployment_target or "", can.FORMAT_SPECIFICATIONS[self._format]
        if target not in can.SPECIFICATION_VERSIONS:
            spelled = [name for name in can.SPECIFICATION_VERSIONS if name.lower() == target.replace(" ", "").replace("_", ".").lower()]
            hint = f", did you mean '{spelled[0]}'?" if spelled else f"; expected {one_of(can.target_name(version, target) for version in held)}"
            self._add(("minimum_deployment_target",), f"unknown deployment target '{target}'{hint}")
        elif self._specification not in held:
            names = one_of(can.target_name(version, target) for version in held)
            other: Target = "mlprogram" if self._format == "neuralnetwork" else "neuralnetwork"
            message = f"{self._holder} cannot have {target}: use {names}, or `to: {other}`"
            self._add(("minimum_deployment_target",), message)

    def _precision(self) -> None:
        if self._format != "neuralnetwork":
            return
        if self._convert.compute_precision == "float16":
            fix = "use `to: mlprogram`, or a variant with `weights: float16`"
            self._add(("compute_precision",), f"a NeuralNetwork does not state its precision and is converted in float32; {fix}")
        if self._convert.keep_float32.names or self._convert.keep_float32.types:
            self._add(("keep_float32",), "a NeuralNetwork does not state its precision; use `to: mlprogram`")

    def _features(self) -> None:
        for section, entries in (("inputs", self._convert.inputs), ("outputs", self._convert.outputs)):
            for name, entry in entries.items():
                if entry.dtype == "float16" and (self._format == "neuralnetwork" or self._specification < can.FLOAT16_FEATURES):
                    self._add((section, name, "dtype"), f"float16 needs {self._needs(can.FLOAT16_FEATURES)}")

    def _shapes(self) -> None:
        enumerated = [name for name, entry in self._convert.inputs.items() if entry.enumerated_shapes]
        if len(enumerated) > 1 and self._format == "mlprogram" and self._specification < can.SEVERAL_ENUMERATED_INPUTS:
            needed = self._needs(can.SEVERAL_ENUMERATED_INPUTS)
            self._add(("inputs", enumerated[1], "enumerated_shapes"), f"a second input with enumerated shapes needs {needed}")
        for name, entry in self._convert.inputs.items():
            for axis, size in enumerate(entry.shape or []):
                unbounded = isinstance(size, DimensionRange) and size.max is None
                if unbounded and self._format not in can.UNBOUNDED_FORMATS:
                    self._add(("inputs", name, "shape", axis), "an ML Program needs an upper end for a flexible size: write `max:`, or use `to: neuralnetwork`")
                elif isinstance(size, int) and size < 1:
                    self._add(("inputs", name, "shape", axis), f"expected a size of at least 1, got {size}")

    def _names(self) -> None:
        seen: dict[str, str] = {}
        for section, entries in (("inputs", self._convert.inputs), ("outputs", self._convert.outputs)):
            for name, entry in entries.items():
                if entry.rename is None:
                    continue
                if entry.rename in seen:
                    self._add((section, name, "rename"), f"'{entry.rename}' is the name of {seen[entry.rename]} already")
                seen[entry.rename] = f"{section}.{name}"
        classifier = self._convert.classifier
        if classifier is not None and classifier.class_labels == []:
            self._add(("classifier", "class_labels"), "a classifier needs labels")


def explicit_step(step: QuantizeStep, target: Target | None, bits_written: bool) -> QuantizeStep:
    """Return a step with the defaults of its method and format filled in."""
    update: dict[str, object] = {}
    if step.method == "float16" and not bits_written:
        update["bits"] = 16
    if step.granularity is None and step.method in can.DEFAULT_GRANULARITIES:
        update["granularity"] = can.DEFAULT_GRANULARITIES[step.method]
    granularity = update.get("granularity", step.granularity)
    if granularity == "per_block" and step.block_size is None:
        update["block_size"] = 32
    if granularity == "per_grouped_channel" and step.group_size is None:
        update["group_size"] = 32
    if step.method == "linear" and step.symmetric is None and target is not None:
        update["symmetric"] = can.DEFAULT_SYMMETRIC[target]
    return step.model_copy(update=update) if update else step


def step_problem(step: QuantizeStep, convert: Convert | None) -> tuple[str, str] | None:
    """Return the key that is wrong and why, or None. Without `convert` (an existing model) only what no format can hold is wrong."""
    return _parameter_problem(step) or _bits_problem(step, convert) or (_granularity_problem(step, convert) if convert else None)


def _parameter_problem(step: QuantizeStep) -> tuple[str, str] | None:
    if step.method == "lut" and step.function is None:
        return "method", "method lut needs `function: file.py:function`; kmeans finds a table by itself"
    if step.function is not None and step.method != "lut":
        return "function", f"goes with method lut, not with {step.method}"
    if step.symmetric is not None and step.method != "linear":
        return "symmetric", f"goes with method linear, not with {step.method}"
    if step.granularity is not None and step.method == "float16":
        return "granularity", "float16 has none"
    if step.block_size is not None and step.granularity != "per_block":
        return "block_size", "goes with `granularity: per_block`"
    if step.group_size is not None and step.granularity != "per_grouped_channel":
        return "group_size", "goes with `granularity: per_grouped_channel`"
    return None


def _bits_problem(step: QuantizeStep, convert: Convert | None) -> tuple[str, str] | None:
    formats: tuple[Target, ...] = (convert.to,) if convert else ("neuralnetwork", "mlprogram")
    held = {bits: version for target in reversed(formats) for bits, version in can.WEIGHT_BITS[target, step.method].items()}
    if step.bits not in held:
        holder = can.FORMAT_NAMES[convert.to] if convert else "Core ML"
        others = [other for other in _methods() if convert and other != step.method and step.bits in can.WEIGHT_BITS[convert.to, other]]
        message = f"{holder} has no {step.method} weights of {step.bits} bits: {step.method} takes {_bits_text(held, convert)}"
        return "bits", message + (f"; {one_of(others)} can have {step.bits}" if others else "")
    if convert is None:
        return None
    if step.symmetric and step.bits not in can.SYMMETRIC_BITS[convert.to]:
        return "symmetric", f"{can.FORMAT_NAMES[convert.to]} has symmetric linear weights of {one_of(can.SYMMETRIC_BITS[convert.to])} bits only"
    return _too_old(convert, held[step.bits], "bits" if step.method != "float16" else "method", f"{step.method} with {step.bits} bits", held)


def _granularity_problem(step: QuantizeStep, convert: Convert) -> tuple[str, str] | None:
    if step.granularity is None:
        return None
    held = can.GRANULARITIES[convert.to, step.method]
    if step.granularity not in held:
        return "granularity", f"{step.method} in {can.FORMAT_NAMES[convert.to]} can be {one_of(held)}, not {step.granularity}"
    return _too_old(convert, held[step.granularity], "granularity", step.granularity, {})


def _too_old(convert: Convert, needed: int, key: str, what: str, held: dict[int, int]) -> tuple[str, str] | None:
    target = convert.minimum_deployment_target or ""
    declared = can.SPECIFICATION_VERSIONS.get(target)
    if declared is None or declared >= needed:
        return None  # an unknown target is a mistake of its own
    instead = sorted((bits for bits, version in held.items() if version <= declared), reverse=True)
    fix = f"; {target} can hold {one_of(instead)} bits" if instead else ""
    return key, f"{what} needs `minimum_deployment_target: {can.target_name(needed, target)}` or newer, this recipe has {target}{fix}"


def _bits_text(held: dict[int, int], convert: Convert | None) -> str:
    oldest = can.FORMAT_SPECIFICATIONS[convert.to][0] if convert else can.IOS18
    texts = []
    for bits, version in sorted(held.items(), reverse=True):
        is_newer = convert is not None and version > max(oldest, can.IOS16)
        texts.append(f"{bits} (from {can.target_name(version, (convert.minimum_deployment_target if convert else None) or 'iOS')})" if is_newer else str(bits))
    return one_of(texts)


def _methods() -> tuple[Method, ...]:
    return ("linear", "kmeans", "lut")
