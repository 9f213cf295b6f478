"""`mlpipe init`: from a model file to a recipe that runs."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json


@click.command(name="init", epilog="Example: mlpipe init model.keras -o recipe.yaml && mlpipe run recipe.yaml")
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--output", "-o", type=click.Path(path_type=Path), default=None, help="Where to write; default: recipe.yaml beside the model.")
@click.option("--force", is_flag=True, help="Overwrite an existing recipe.")
@click.option("--allow-code", is_flag=True, help="Allow Keras Lambda layers and other code in the model file to run.")
@common
def command(model: Path, output: Path | None, *, force: bool, allow_code: bool, as_json: bool) -> None:
    """Read MODEL (Keras, TensorFlow or Core ML) and write a commented recipe that runs."""
    from mlpipe import api

    written = api.init(model, output, force=force, allow_code=allow_code)
    if as_json:
        print_json({"recipe": str(written)})
    else:
        click.echo(f"wrote {written}; next: mlpipe run {written}")
