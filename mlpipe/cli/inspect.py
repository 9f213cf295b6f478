"""`mlpipe inspect`: what is in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mlpipe.cli.options import common, print_json

MOST_LINES = 20
MOST_NODES = 6

HOW = {
    "composed": "composed of several kernels",
    "loop": "branches and loops",
    "random": "random, another generator than Core ML's",
    "host": "outside the graph",
}
"""How a layer is executed that is not direct, in words; docs/runtime.md explains them."""


@click.command(name="inspect", epilog="Examples: mlpipe inspect build/digits/lut-4.mlmodel; mlpipe inspect Model.mlpackage --json")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--values", is_flag=True, help="Also list the values inside the model, which predict --tap gives.")
@common
def command(model: Path, *, values: bool, as_json: bool) -> None:
    """Describe MODEL: inputs, outputs, size; for Core ML files also functions, states, stages, layers, bits per weight, and how they run here.

    A layer that is executed by several kernels, in a loop, at random or outside the graph is named; all others are executed by one kernel each.
    """
    from mlpipe import api

    found = api.inspect(model, values=values)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    click.echo(f"{found['path']}: {found['kind']}, {found['size_bytes']:,} bytes")
    if found.get("specification_version") is not None:
        click.echo(f"specification {found['specification_version']}, runs from {found['minimum_deployment_target']}")
    functions = found.get("functions") or ()
    if not functions:
        _show_interface(found)
    for function in functions:
        click.echo(f"  function {function['name']}{' (the default)' if function['default'] else ''}")
        _show_interface(function, "  ")
    _show_parts(found)
    for title, key in (("layers", "layers"), ("weights", "bits")):
        if found.get(key):
            click.echo(f"  {title}: " + ", ".join(f"{name} x{count}" for name, count in found[key].items()))
    if not functions and found.get("portable_runtime") is not None:
        _show_execution(found["portable_runtime"], "  ")
    for function in functions:
        _show_execution(function["portable_runtime"], "  ", f" ({function['name']})")


def _show_interface(found: Mapping[str, Any], indent: str = "") -> None:
    for side in ("inputs", "outputs", "states"):
        for entry in found.get(side, ()):
            click.echo(f"{indent}  {side[:-1]:<7}{entry['name']}: {_feature(entry)}{', optional' if entry.get('optional') else ''}")


def _show_parts(found: Mapping[str, Any]) -> None:
    """Print the stages of a pipeline, what a classic model holds, and the custom layers."""
    for stage in found.get("stages", ()):
        _show_stage(stage)
    if found.get("details"):
        click.echo(f"  holds: {_details(found['details'])}")
    for layer in found.get("custom_layers", ()):
        click.echo(f"  custom layer {layer['name']}: class {layer['class']}{_given(layer['parameters'])}, {layer['weights']} weights")


def _show_stage(stage: Mapping[str, Any]) -> None:
    """Print one model of a pipeline: `stage 2: glmClassifier, x -> label, p (coefficients 2, labels 2)`."""
    flow = " -> ".join(", ".join(entry["name"] for entry in stage[side]) for side in ("inputs", "outputs"))
    layers = ", ".join(f"{name} x{count}" for name, count in stage["layers"].items())
    holds = "; ".join(filter(None, (_details(stage["details"]), layers)))
    fate = "" if stage["portable_runtime"]["executable"] else ": cannot run here"
    click.echo(f"  stage {stage['number']}: {stage['kind']}, {flow}{f' ({holds})' if holds else ''}{fate}")


def _details(details: Mapping[str, Any]) -> str:
    return ", ".join(f"{name}{_given(value)}" if isinstance(value, Mapping) else f"{name} {value}" for name, value in details.items() if value != {})


def _given(parameters: Mapping[str, Any]) -> str:
    return f" ({', '.join(f'{name} {value}' for name, value in parameters.items())})" if parameters else ""


def _show_execution(runtime: Mapping[str, Any], indent: str, which: str = "") -> None:
    """Print whether the runtime executes it, each layer that it cannot, and what is not executed by one kernel of the same meaning."""
    title = f"{indent}portable runtime{which}: "
    if not runtime["executable"]:
        missing = runtime["unsupported"]
        click.echo(f"{title}cannot run it:")
        click.echo("\n".join(f"{indent}  {line}" for line in missing[:MOST_LINES]))
        if len(missing) > MOST_LINES:
            click.echo(f"{indent}  and {len(missing) - MOST_LINES} more (--json lists all)")
        return
    entries = runtime["emulated"]
    click.echo(f"{title}runs it" + ("" if entries is None else ", one kernel a layer" if not entries else ", one kernel a layer, except:"))
    for how, words in HOW.items():
        listed = [f"{entry['type']} x{entry['count']}{_composition(entry)}" for entry in entries or () if entry["how"] == how]
        if listed:
            click.echo(f"{indent}  {words}: {', '.join(listed)}")
    halves = runtime["float16"]
    if halves and halves["values"]:
        click.echo(f"{indent}  float16: {halves['values']} of {halves['of']} values, computed in float32; --precision float16 rounds them")
    for value in runtime.get("values") or ():
        shape = ", ".join("?" if size is None else str(size) for size in value["shape"])
        click.echo(f"{indent}  value {value['name']}: {value['type']}, {value['dtype']} [{shape}]")


def _composition(entry: Mapping[str, Any]) -> str:
    nodes = entry["nodes"]
    if entry["how"] != "composed":
        return ""
    return f" ({' '.join(nodes)})" if len(nodes) <= MOST_NODES else f" ({len(nodes)} nodes)"


def _feature(entry: Mapping[str, Any]) -> str:
    """Return what a feature is: `float32 [1, 8..64, 3]`, `rgb image [16, 16, 3]`, `string`."""
    composite = {"image": f"{entry.get('color')} image", "dictionary": f"{entry.get('key_dtype')} -> {entry.get('dtype')}"}
    kind = composite.get(entry.get("kind", ""), entry.get("dtype") or "?")
    shapes = entry.get("enumerated_shapes") or [entry.get("shape") or ()]
    if entry.get("shape_ranges"):
        shapes = [[low if low == high else f"{low}..{'' if high is None else high}" for low, high in entry["shape_ranges"]]]
    texts = [", ".join("?" if size is None else str(size) for size in shape) for shape in shapes]
    return kind if texts == [""] else f"{kind} " + " or ".join(f"[{text}]" for text in texts)
