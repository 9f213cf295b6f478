"""Writes docs/reference/ from the code. `python docs/generate.py` after a change; a test fails while the pages are stale."""

from __future__ import annotations

import importlib.util
import io
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel

FOLDER = Path(__file__).parent / "reference"
NOTE = "<!-- Written by docs/generate.py; do not edit. -->\n"


def pages() -> dict[str, str]:
    """Return every page by file name."""
    made = {
        "recipe.md": recipe_page(),
        "metrics.md": metrics_page(),
        "targets.md": targets_page(),
        "errors.md": errors_page(),
        "runtime.md": runtime_page(),
        "commands.md": commands_page(),
    }
    return {name: NOTE + text.rstrip() + "\n" for name, text in made.items()}


def recipe_page() -> str:
    """Return every key of a recipe and of pipeline.yaml with type, default and meaning."""
    from mlpipe.recipe.schema.pipeline import Pipeline
    from mlpipe.recipe.schema.quantize import QuantizeStep
    from mlpipe.recipe.schema.recipe import Recipe

    lines = ["# Recipe reference", "", "Guide: [recipes](../recipes.md). `mlpipe schema` prints the same as JSON Schema.", ""]
    lines += _section("recipe.yaml", Recipe, {"quantize.NAME": QuantizeStep})
    lines += _section("pipeline.yaml", Pipeline, {})
    return "\n".join(lines)


def _section(title: str, model: type[BaseModel], more: dict[str, type[BaseModel]]) -> Iterator[str]:
    yield f"## {title}"
    yield from _table(model)
    for name, inner in (*_inner(model, ""), *more.items()):
        yield f"### {name}"
        yield from _table(inner)


def _table(model: type[BaseModel]) -> Iterator[str]:
    if model.__doc__:
        yield from (model.__doc__.strip(), "")
    yield from ("| key | type | default | meaning |", "|---|---|---|---|")
    for name, field in model.model_fields.items():
        default = "required" if field.is_required() else _default(field.get_default(call_default_factory=True, validated_data={}))
        yield f"| `{field.alias or name}` | {_type(field.annotation)} | {default} | {(field.description or '').replace('|', '/')} |"
    yield ""


def _default(value: Any) -> str:
    if isinstance(value, BaseModel) or value in (None, {}, [], ()):
        return ""
    return f"`{value}`"


def _type(annotation: Any) -> str:
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin in (Union, UnionType):
        return " or ".join(_type(choice) for choice in arguments if choice is not type(None))
    if origin in (list, tuple):
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return f"mapping to {_type(arguments[1])}"
    if origin is not None and arguments:
        return _type(arguments[0])
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return "section (below)"
    return {"str": "text", "int": "whole number", "float": "number", "bool": "true or false"}.get(getattr(annotation, "__name__", ""), "anything")


def _inner(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, type[BaseModel]]]:
    for name, field in model.model_fields.items():
        for found, suffix in _models(field.annotation):
            path = f"{prefix}{field.alias or name}{suffix}"
            yield path, found
            yield from _inner(found, f"{path}.")


def _models(annotation: Any, suffix: str = "") -> Iterator[tuple[type[BaseModel], str]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation, suffix
        return
    arguments = get_args(annotation)
    inner = {dict: f"{suffix}.NAME", list: f"{suffix}[]", tuple: f"{suffix}[]"}.get(get_origin(annotation), suffix)
    for argument in arguments:
        yield from _models(argument, inner)


def metrics_page() -> str:
    """Return the metrics that a recipe can name."""
    from mlpipe.recipe.metrics_table import METRICS

    lines = ["# Metrics", "", "A metric is against `converted`; with the prefix `source.` it is against the source.", ""]
    lines += ["| metric | unit | better | against | parameters |", "|---|---|---|---|---|"]
    for metric in METRICS.values():
        against = metric.against.replace("_", " ")
        lines.append(f"| `{metric.name}` | {metric.unit} | {metric.better} | {against} | {', '.join(f'`{name}`' for name in metric.parameters)} |")
    return "\n".join(lines)


def targets_page() -> str:
    """Return what each format and deployment target can hold."""
    from mlpipe.recipe.capabilities import FORMAT_NAMES, FORMAT_SPECIFICATIONS, SPECIFICATION_VERSIONS, WEIGHT_BITS, target_name

    lines = ["# Formats and deployment targets", "", "| target | specification |", "|---|---|"]
    lines += [f"| {target} | {version} |" for target, version in SPECIFICATION_VERSIONS.items()]
    lines += ["", "| `to:` | takes |", "|---|---|"]
    lines += [f"| `{to}` | {', '.join(map(target_name, versions))} |" for to, versions in FORMAT_SPECIFICATIONS.items()]
    lines += ["", "| format | method | bits (and the target from which on) |", "|---|---|---|"]
    for (to, method), bits in WEIGHT_BITS.items():
        widths = ", ".join(f"{width} ({target_name(version)})" for width, version in bits.items())
        lines.append(f"| {FORMAT_NAMES[to]} | `{method}` | {widths} |")
    return "\n".join(lines)


def errors_page() -> str:
    """Return the error codes and exit codes."""
    from mlpipe import errors
    from mlpipe.exit_codes import ExitCode

    kinds = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.MlpipeError)]
    lines = ["# Errors", "", "| code | name | exit code | what it says |", "|---|---|---|---|"]
    kinds.sort(key=lambda kind: kind.code)
    lines += [f"| {kind.code} | {kind.__name__} | {int(kind.exit_code)} | {(kind.__doc__ or '').splitlines()[0]} |" for kind in kinds]
    lines += ["", "| exit code | name |", "|---|---|", *(f"| {int(code)} | {code.name.lower().replace('_', ' ')} |" for code in ExitCode)]
    return "\n".join(lines)


def runtime_page() -> str:
    """Return what the portable runtime executes, and how."""
    from mlpipe.runtime.neuralnetwork.control_flow import CONTROL_FLOW
    from mlpipe.runtime.neuralnetwork.layers import LAYERS

    operations = _beside("operations")
    lines = ["# What the portable runtime executes", "", "What that shows, and what it does not: [the portable runtime](../runtime.md).", ""]
    lines += [f"## ML Program operations ({len(operations.everything())})", "", operations.EXPLANATION, *operations.table(), ""]
    layers = sorted({*LAYERS, *CONTROL_FLOW})
    lines += [f"## NeuralNetwork layers ({len(layers)})", "", ", ".join(f"`{name}`" for name in layers), ""]
    lines += ["Everything else is refused by type and layer name; a listed layer may still refuse a parameter that was not verified."]
    return "\n".join(lines)


def _beside(name: str) -> Any:
    """Return a module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_{name}", Path(__file__).with_name(f"{name}.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look for the module that they are in
    spec.loader.exec_module(module)
    return module


def commands_page() -> str:
    """Return the help of every command."""
    from mlpipe.cli.main import COMMANDS, run

    lines = ["# Commands", ""]
    for words in ([], *([name] for name in COMMANDS)):
        captured = io.StringIO()
        with redirect_stdout(captured):
            run([*words, "--help"])
        lines += [f"## mlpipe {' '.join(words)}".rstrip(), "", "```", captured.getvalue().rstrip(), "```", ""]
    return "\n".join(lines)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for name, text in pages().items():
        (FOLDER / name).write_text(text, encoding="utf-8")
