"""`mlpipe inspect`: what is in a model file."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from mlpipe.cli.options import common, print_json


@click.command(name="inspect", epilog="Example: mlpipe inspect build/digits/lut-4.mlmodel")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@common
def command(model: Path, *, as_json: bool) -> None:
    """Describe MODEL: inputs, outputs, size; for Core ML files also layers, bits per weight and whether they run here."""
    from mlpipe import api

    found = api.inspect(model)
    if as_json:
        print_json(found)
    else:
        _show(found)


def _show(found: Mapping[str, Any]) -> None:
    click.echo(f"{found['path']}: {found['kind']}, {found['size_bytes']:,} bytes")
    if found.get("specification_version") is not None:
        click.echo(f"specification {found['specification_version']}, runs from {found['minimum_deployment_target']}")
    for side in ("inputs", "outputs"):
        for entry in found[side]:
            click.echo(f"  {side[:-1]:<7}{entry['name']}: {_feature(entry)}")
    for title, key in (("layers", "layers"), ("weights", "bits")):
        if found.get(key):
            click.echo(f"  {title}: " + ", ".join(f"{name} x{count}" for name, count in found[key].items()))
    runtime = found.get("portable_runtime")
    if runtime is not None:
        click.echo("  portable runtime: " + ("runs it" if runtime["executable"] else "cannot run it: " + "; ".join(runtime["unsupported"])))


def _feature(entry: Mapping[str, Any]) -> str:
    """Return what a feature is: `float32 [1, 8..64, 3]`, `rgb image [16, 16, 3]`, `string`."""
    composite = {"image": f"{entry.get('color')} image", "dictionary": f"{entry.get('key_dtype')} -> {entry.get('dtype')}"}
    kind = composite.get(entry.get("kind", ""), entry.get("dtype") or "?")
    shapes = entry.get("enumerated_shapes") or [entry.get("shape") or ()]
    if entry.get("shape_ranges"):
        shapes = [[low if low == high else f"{low}..{'' if high is None else high}" for low, high in entry["shape_ranges"]]]
    texts = [", ".join("?" if size is None else str(size) for size in shape) for shape in shapes]
    return kind if texts == [""] else f"{kind} " + " or ".join(f"[{text}]" for text in texts)
