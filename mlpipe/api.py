"""The Python interface: what `import mlpipe` offers, and what the command line calls."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mlpipe.errors import RecipeError

if TYPE_CHECKING:
    from mlpipe.analysis.prediction.run import Predictions
    from mlpipe.engine.outcome import RunReporter, RunResult
    from mlpipe.engine.run_report import RunReport
    from mlpipe.runtime.model import RuntimeModel


def run(
    recipes: str | Path | Sequence[str | Path] = (),
    *,
    workspace: str | Path | None = None,
    jobs: int | None = None,
    only: Sequence[str] = (),
    fail_fast: bool = False,
    require_gate: bool = False,
    reporter: RunReporter | None = None,
) -> RunReport:
    """Bring recipes (default: those of pipeline.yaml) up to date, gate them, and return the report as an object.

    `only` are globs over task names; the result is then partial, and never a pass. A failed step or gate is in the report.
    Errors: RecipeErrors, StoreUnusable.
    """
    from mlpipe.engine.recipes import run_recipes

    named = [Path(recipes)] if isinstance(recipes, str | Path) else [Path(recipe) for recipe in recipes]
    given = None if workspace is None else Path(workspace)
    return run_recipes(named, workspace=given, jobs=jobs, only=only, fail_fast=fail_fast, require_gate=require_gate, reporter=reporter)


def plan(recipes: Sequence[str | Path] = (), *, workspace: str | Path | None = None, only: Sequence[str] = ()) -> RunResult:
    """Return what a run would do: for each task whether it would run, come from the cache or is up to date, and why."""
    from mlpipe.engine.recipes import plan_recipes

    return plan_recipes([Path(recipe) for recipe in recipes], workspace=None if workspace is None else Path(workspace), only=only)


def log(task: str, *, workspace: str | Path | None = None) -> Path:
    """Return the file with what a task's last run in this workspace printed. Errors: RecipeError where it never ran here."""
    from mlpipe.engine.records import log_path
    from mlpipe.recipe.root import find_root

    path = log_path(find_root(None if workspace is None else Path(workspace)), task)
    if not path.exists():
        raise RecipeError(
            f"task {task!r} has no log here", why="it never ran in this workspace", fix="mlpipe plan lists the tasks; what came from the cache has no log"
        )
    return path


def load_model(
    path: str | Path,
    *,
    precision: str = "float32",
    function_name: str | None = None,
    custom_layers: Mapping[str, Callable[..., Any]] | None = None,
    prepack: bool = True,
) -> RuntimeModel:
    """Return a Core ML model (.mlmodel or .mlpackage) that predicts on this machine, on the portable runtime.

    `precision` is `float32`, or `float16` for results rounded after every op; `function_name` is one of several functions of an ML Program.
    `custom_layers` maps the names of classes that the app provides to functions that stand in for them: of a layer's input arrays, its parameters by
    name and its `weights`; of a custom model's dictionary of inputs and its parameters. Without `prepack` weights are held once: less memory, slower
    predictions.
    Errors: ModelFileInvalid, NotExecutable, InvalidInput for a function that it does not have.
    """
    from mlpipe.runtime import load_model as load

    return load(Path(path), precision=precision, function_name=function_name, custom_layers=custom_layers, prepack=prepack)


def predict(
    model: str | Path,
    inputs: Mapping[str, Any] | None = None,
    *,
    samples: str | Path | None = None,
    output: str | Path | None = None,
    limit: int | None = None,
    precision: str = "float32",
    function: str | None = None,
    taps: Sequence[str] = (),
    keep_state: bool = False,
    overflows: bool = False,
    custom_layers: Mapping[str, Callable[..., Any] | str] | None = None,
    **fitting: Any,
) -> Predictions:
    """Return a Core ML model's prediction for these inputs, or one for each of `samples` together with them; it is made when it is asked for.

    An input is an array, a Pillow image, a number, a `Path`, or text as on the command line: a file's name or JSON. `samples` is a folder, a glob, or
    an array file with samples along the first axis. `output` is a .npz, .json or .png file or a folder, written once all predictions were gone
    through. `taps` are values inside the model, and `overflows` asks which layers overflow float16. `fitting` says how images become inputs: `fit`,
    `crop_fraction`, `resampling`, `color`, `scale`, `bias`, as in a recipe's samples. `custom_layers` are functions, or `file.py:function`, by class.
    Errors: RecipeError for names and files that do not exist; ModelFileInvalid, NotExecutable; SampleUnreadable and InvalidInput without `samples`.
    """
    from mlpipe.analysis.prediction.run import open_for, start
    from mlpipe.recipe.schema.compare import Samples

    settings = Samples(images="*", **fitting)
    ready = open_for(Path(model).absolute(), precision, function, custom_layers or {})
    place = None if output is None else Path(output)
    return start(ready, inputs or {}, samples, settings, limit=limit, output=place, taps=taps, keep_state=keep_state, overflows=overflows)


def export(model: str | Path, output: str | Path, *, precision: str = "float32", function: str | None = None, external_data: bool = False) -> dict[str, Any]:
    """Write a Core ML model as the ONNX model that the runtime executes for it; return its path, size, inputs and outputs as JSON-able data.

    Errors: RecipeError for a model of another kind, a function that it does not have, or a name that does not end in .onnx; ModelFileInvalid;
    NotExecutable, with every layer that cannot be lowered; StoreUnusable where it cannot be written.
    """
    from mlpipe.analysis.export import export_model

    return export_model(Path(model).absolute(), Path(output), precision=precision, function=function, external_data=external_data)


def show(recipe: str | Path) -> dict[str, Any]:
    """Return a recipe with every default expanded, as data that is a valid recipe again. Errors: RecipeErrors."""
    from mlpipe.recipe.show import show as expanded
    from mlpipe.recipe.workspace import load_plan

    return expanded(load_plan(Path(recipe)))


def schema(kind: str = "recipe") -> dict[str, Any]:
    """Return the JSON Schema (draft 2020-12) of `recipe`, `pipeline` or `report`."""
    if kind == "report":
        from mlpipe.reports.schema import report_schema

        return report_schema()
    from mlpipe.recipe.json_schema import json_schema

    return json_schema(kind)


def init(model: str | Path, output: str | Path | None = None, *, force: bool = False, allow_code: bool = False) -> Path:
    """Write a commented recipe for a model file and return its path. Errors: RecipeError where the recipe exists already, SourceUnreadable."""
    from mlpipe.engine.describe import describe_source
    from mlpipe.recipe.guess import source_kind
    from mlpipe.recipe.schema.source import Source
    from mlpipe.recipe.template import recipe_name, recipe_text

    path = Path(model).absolute()
    recipe = Path(output).absolute() if output is not None else path.parent / "recipe.yaml"
    if recipe.exists() and not force:
        raise RecipeError("the recipe exists already", where=str(recipe), fix="choose another with --output, or overwrite it with --force")
    kind = source_kind(path)
    location = path.with_suffix("") if path.suffix == ".meta" else path
    description = describe_source(Source.model_validate({kind: str(location), "allow_code": allow_code}))
    compressible = kind != "coreml" or _holds_compressed_weights(path)
    where = _relative(location, recipe.parent)
    text = recipe_text(recipe_name(path), kind, where, description, allow_code=allow_code, compressible=compressible)
    recipe.parent.mkdir(parents=True, exist_ok=True)
    recipe.write_text(text, encoding="utf-8")
    return recipe


def inspect(model: str | Path, *, values: bool = False) -> dict[str, Any]:
    """Return what is in a model file, as JSON-able data; with `values`, also those inside a Core ML model that can be tapped.

    Errors: RecipeError, SourceUnreadable, ModelFileInvalid.
    """
    from mlpipe.analysis.inspect import inspect_coreml, inspect_source
    from mlpipe.recipe.guess import source_kind

    path = Path(model).absolute()
    kind = source_kind(path)
    return inspect_coreml(path, values=values) if kind == "coreml" else inspect_source(path, kind)


def clean(names: Sequence[str] = (), *, workspace: str | Path | None = None, everything: bool = False) -> list[Path]:
    """Remove what runs wrote for the named recipes (default: all) and return the folders. The cache stays."""
    from mlpipe.engine.clean import clean as remove
    from mlpipe.recipe.root import find_root

    return remove(find_root(None if workspace is None else Path(workspace)) / "build", names, everything=everything)


def _holds_compressed_weights(path: Path) -> bool:
    from mlpipe.model_files.read import read_model
    from mlpipe.recipe.capabilities import WEIGHT_BITS

    model = read_model(path)
    return model.kind != "mlprogram" or model.spec.specificationVersion >= WEIGHT_BITS["mlprogram", "linear"][8]


def _relative(path: Path, folder: Path) -> str:
    return Path(os.path.relpath(path, folder)).as_posix()
