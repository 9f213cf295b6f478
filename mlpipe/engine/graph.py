"""A Plan as tasks: which steps there are, what each reads, and where its files go. See the table in docs/architecture.md."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeGuard

from mlpipe.engine.inputs import model_files, sample_files
from mlpipe.engine.task_spec import Preload, TaskSpec
from mlpipe.errors import RecipeError
from mlpipe.recipe.plan import CONVERTED, Plan
from mlpipe.recipe.schema.compare import Samples
from mlpipe.recipe.schema.source import Source, SourceKind
from mlpipe.steps.report import TOOLS as REPORT_TOOLS

_MEGABYTE = 1 << 20


@dataclass(frozen=True)
class _Profile:
    """What the steps of one kind of source need."""

    tools: tuple[str, ...]
    preload: Preload
    memory_bytes: int


_TENSORFLOW = _Profile(("tensorflow", "keras", "numpy"), "tensorflow", 1500 * _MEGABYTE)
_SOURCES: Mapping[SourceKind, _Profile] = {
    "keras": _TENSORFLOW,
    "tensorflow": _TENSORFLOW,
    "coreml": _Profile(("coremltools", "protobuf", "numpy"), "numpy", 500 * _MEGABYTE),
}
_RUNTIME = _Profile(("onnxruntime", "onnx", "coremltools", "protobuf", "numpy", "pillow"), "onnxruntime", 500 * _MEGABYTE)


def profile_of(source: Source) -> _Profile:
    """Return what the steps of a source need. Errors: RecipeError for a kind that has no reader yet."""
    if source.kind not in _SOURCES:
        raise RecipeError(f"source.{source.kind}: this version of mlpipe cannot read such a model", fix=f"it reads: {', '.join(_SOURCES)}")
    return _SOURCES[source.kind]


def task_specs(plan: Plan, build: Path) -> list[TaskSpec]:
    """Return the tasks of one recipe in topological order. `build` is the workspace's build folder; files go to `build/<recipe>/`."""
    return list(_Tasks(plan, build / plan.name).all())


class _Tasks:
    """Makes the tasks of one plan; holds what they all need."""

    def __init__(self, plan: Plan, build: Path) -> None:
        self.plan = plan
        self.build = build
        self.suffix = ".mlmodel" if _is_single_file(plan) else ".mlpackage"
        self.reference = plan.reference or (None if plan.source.kind == "coreml" else plan.source)
        self.has_source_outputs = plan.compare.samples is not None and (self.reference is not None or plan.reference_outputs is not None)

    def all(self) -> Iterator[TaskSpec]:
        """Yield every task, each after those that it reads."""
        yield self.source("source", self.plan.source)
        if self.plan.reference is not None:
            yield self.source("reference", self.plan.reference)
        yield self.convert()
        for variant in self.plan.variants:
            yield self.quantize(variant.name, [step.model_dump(mode="json") for step in variant.steps])
        for name in self.plan.variant_names:
            yield self.package(name)
        if self.plan.compare.samples is not None:
            if self.has_source_outputs:
                yield self.predict_source(self.plan.compare.samples)
            for name in self.plan.variant_names:
                yield self.predict(name, self.plan.compare.samples)
            for name in self.plan.variant_names:
                yield self.compare(name, self.plan.compare.samples)
        for name in self.plan.variant_names:
            yield self.gate(name)
        if self.plan.release is not None:
            yield self.release(self.plan.release.variant, self.plan.release.name)
        yield self.report()

    def task(self, *parts: str) -> str:
        """Return a task's full name."""
        return ":".join((self.plan.name, *parts))

    def model_task(self, variant: str) -> str:
        """Return the task that makes a variant's model."""
        return self.task("convert") if variant == CONVERTED else self.task("quantize", variant)

    def spec(self, *name: str, step: str, parameters: Mapping[str, Any], profile: _Profile | None = None, **rest: Any) -> TaskSpec:
        """Return a task with what follows from its recipe filled in."""
        timeouts: Mapping[Any, float] = self.plan.workers.timeout_seconds
        tools = rest.pop("tools", profile.tools if profile else ())
        return TaskSpec(
            name=self.task(*name),
            step=f"mlpipe.steps.{step}",
            parameters=parameters,
            folder=self.plan.folder,
            tools=tools,
            preload=profile.preload if profile else rest.pop("preload", "main"),
            memory_bytes=profile.memory_bytes if profile else 100 * _MEGABYTE,
            timeout_seconds=timeouts.get(step, timeouts.get("*")),
            **rest,
        )

    def source(self, name: str, source: Source) -> TaskSpec:
        """Digest and describe a source model."""
        files = {"model": model_files(source), "modules": tuple(Path(module) for module in source.modules)}
        return self.spec(name, step="source", parameters={"source": self.portable(source)}, profile=profile_of(source), files=files)

    def convert(self) -> TaskSpec:
        """Turn the source into the variant `converted`; an existing Core ML file is taken as it is."""
        source, convert = self.plan.source, self.plan.convert
        section: dict[str, Any] | None = None
        files: dict[str, tuple[Path, ...]] = {"modules": tuple(Path(module) for module in source.modules)}
        if convert is not None:
            section = convert.model_dump(mode="json", exclude={"metadata"})
            if convert.classifier is not None and isinstance(convert.classifier.class_labels, str):
                files["labels"] = (Path(convert.classifier.class_labels),)
                section["classifier"]["class_labels"] = Path(convert.classifier.class_labels).name
        profile = profile_of(source)
        tools = tuple(dict.fromkeys((*profile.tools, "coremltools", "protobuf")))
        parameters = {"source": self.portable(source), "convert": section}
        return self.spec("convert", step="convert", parameters=parameters, profile=profile, tools=tools, inputs={"source": self.task("source")}, files=files)

    def quantize(self, variant: str, steps: list[dict[str, Any]]) -> TaskSpec:
        """Compress `converted`."""
        tools = ("coremltools", "protobuf", "numpy")
        inputs = {"model": self.task("convert")}
        return self.spec("quantize", variant, step="quantize", parameters={"steps": steps}, preload="numpy", tools=tools, inputs=inputs)

    def package(self, variant: str) -> TaskSpec:
        """Stamp the metadata and place the model in the build folder."""
        metadata = self.plan.convert.metadata.model_dump(mode="json") if self.plan.convert else None
        inputs = {"model": self.model_task(variant), "conversion": self.task("convert")}
        export = {f"model{self.suffix}": self.build / f"{variant}{self.suffix}"}
        tools = ("coremltools", "protobuf")
        return self.spec("package", variant, step="package", parameters={"metadata": metadata}, preload="numpy", tools=tools, inputs=inputs, export=export)

    def prediction_parameters(self, samples: Samples) -> dict[str, Any]:
        """Return what both sides of a comparison share; ground truth is the comparison's business."""
        inputs = self.plan.convert.inputs if self.plan.convert else {}
        return {
            "samples": self.portable_samples(samples),
            "inputs": {name: value.model_dump(mode="json") for name, value in inputs.items()},
            "outputs": self.plan.compare.outputs,
        }

    def predict_source(self, samples: Samples) -> TaskSpec:
        """Compute the source's own outputs, or read the ones the recipe gives."""
        parameters = {"side": "source", **self.prediction_parameters(samples)}
        files = dict(sample_files(samples))
        if self.plan.reference_outputs is not None:
            files["reference_outputs"] = (self.plan.reference_outputs,)
        if self.reference is None:
            return self.spec("predict", "source", step="predict", parameters=parameters, preload="numpy", tools=("numpy", "pillow"), files=files)
        role = "reference" if self.plan.reference is not None else "source"
        files["modules"] = tuple(Path(module) for module in self.reference.modules)
        profile = profile_of(self.reference) if self.reference.kind != "coreml" else _RUNTIME
        parameters["source"] = self.portable(self.reference)
        tools = (*profile.tools, "pillow")
        inputs = {"source": self.task(role)}
        return self.spec("predict", "source", step="predict", parameters=parameters, profile=profile, tools=tools, inputs=inputs, files=files)

    def predict(self, variant: str, samples: Samples) -> TaskSpec:
        """Run a variant on the portable runtime."""
        parameters = {"side": "model", "precision": self.plan.compare.precision, **self.prediction_parameters(samples)}
        inputs = {"model": self.model_task(variant), "conversion": self.task("convert")}
        return self.spec("predict", variant, step="predict", parameters=parameters, profile=_RUNTIME, inputs=inputs, files=sample_files(samples))

    def compare(self, variant: str, samples: Samples) -> TaskSpec:
        """Hold a variant's outputs against `converted` and against the source."""
        inputs = {"candidate": self.task("predict", variant), "conversion": self.task("convert")}
        if variant != CONVERTED:
            inputs["converted"] = self.task("predict", CONVERTED)
        if self.has_source_outputs:
            inputs["source"] = self.task("predict", "source")
        named = {"ground_truth": samples.ground_truth, "labels": samples.labels}
        files: dict[str, tuple[Path, ...]] = {role: (Path(value),) for role, value in named.items() if _is_path(value)}
        if samples.ground_truth is not None and "ground_truth" not in files:
            files |= sample_files(samples)  # the labels are an array of the samples' own .npz
        parameters = {
            "samples": self.portable_samples(samples, with_labels=True),
            "metrics": [metric.model_dump(mode="json") for metric in self.plan.compare.metrics],
            "outputs": self.plan.compare.outputs,
        }
        return self.spec("compare", variant, step="compare", parameters=parameters, preload="numpy", tools=("numpy",), inputs=inputs, files=files)

    def gate(self, variant: str) -> TaskSpec:
        """Judge a variant; the bounds are in this task's key and in no other."""
        rules = None if self.plan.gates is None else self.plan.gates[variant].model_dump(mode="json")
        inputs = {"package": self.task("package", variant)}
        if self.plan.compare.samples is not None:
            inputs["compare"] = self.task("compare", variant)
        return self.spec("gate", variant, step="gate", parameters={"variant": variant, "rules": rules}, inputs=inputs)

    def release(self, variant: str, name: str) -> TaskSpec:
        """Place the released model, if its gate passes."""
        inputs = {"gate": self.task("gate", variant), "package": self.task("package", variant)}
        export = {f"{name}{self.suffix}": self.build / "release" / f"{name}{self.suffix}"}
        return self.spec("release", step="release", parameters={"variant": variant, "name": name}, inputs=inputs, export=export)

    def report(self) -> TaskSpec:
        """Write the reports from what the other tasks recorded."""
        inputs = {"source": self.task("source"), "convert": self.task("convert")}
        for variant in self.plan.variant_names:
            inputs |= {f"{step}:{variant}": self.task(step, variant) for step in ("package", "gate")}
            if variant != CONVERTED:
                inputs[f"quantize:{variant}"] = self.task("quantize", variant)
            if self.plan.compare.samples is not None:
                inputs[f"compare:{variant}"] = self.task("compare", variant)
        if self.plan.release is not None:
            inputs["release"] = self.task("release")
        parameters = {
            "recipe": self.plan.name,
            "variants": list(self.plan.variant_names),
            "artifacts": {variant: f"{variant}{self.suffix}" for variant in self.plan.variant_names},
            "release": None if self.plan.release is None else self.plan.release.model_dump(mode="json"),
            "gated": self.plan.gates is not None,
        }
        export = {name: self.build / name for name in ("report.json", "report.md", "junit.xml")}
        return self.spec("report", step="report", parameters=parameters, tools=REPORT_TOOLS, inputs=inputs, export=export)

    def portable(self, source: Source) -> dict[str, Any]:
        """Return a source section without absolute paths, so that another checkout has the same keys."""
        section = source.model_dump(mode="json")
        if "://" not in source.location:
            section[source.kind] = Path(source.location).name
        return section | {"modules": [self.relative(module) for module in source.modules]}

    def portable_samples(self, samples: Samples, *, with_labels: bool = False) -> dict[str, Any]:
        """Return a samples section without absolute paths."""
        section = samples.model_dump(mode="json")
        for key in ("images", "arrays", "ground_truth", "labels"):
            if _is_path(section[key]):
                section[key] = self.relative(section[key])
        if isinstance(section["images"], list):
            section["images"] = [self.relative(pattern) for pattern in section["images"]]
        return section if with_labels else section | {"ground_truth": None, "labels": None}

    def relative(self, path: str) -> str:
        """Return a path relative to the recipe's folder, with forward slashes."""
        return Path(os.path.relpath(path, self.plan.folder)).as_posix()


def _is_path(value: object) -> TypeGuard[str]:
    """Whether a samples key names a file (and not a key of an .npz, or a list of labels)."""
    return isinstance(value, str) and not value.startswith("key:")


def _is_single_file(plan: Plan) -> bool:
    """Whether the models are .mlmodel files rather than .mlpackage folders."""
    if plan.convert is None:
        return plan.source.location.endswith(".mlmodel")
    return plan.convert.to == "neuralnetwork"
