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
            shape = ", ".join("?" if size is None else str(size) for size in entry.get("shape") or ())
            image = f" image {entry['image']}" if entry.get("image") else ""
            click.echo(f"  {side[:-1]:<7}{entry['name']}: {entry.get('dtype') or entry.get('type') or '?'} [{shape}]{image}")
    for title, key in (("layers", "layers"), ("weights", "bits")):
        if found.get(key):
            click.echo(f"  {title}: " + ", ".join(f"{name} x{count}" for name, count in found[key].items()))
    runtime = found.get("portable_runtime")
    if runtime is not None:
        click.echo("  portable runtime: " + ("runs it" if runtime["executable"] else "cannot run it: " + "; ".join(runtime["unsupported"])))
