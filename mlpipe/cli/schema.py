"""`mlpipe schema`: JSON Schemas for editors and for those who read reports."""

from __future__ import annotations

import click

from mlpipe.cli.options import common, print_json


@click.command(name="schema", epilog="Example: mlpipe schema > recipe.schema.json")
@click.argument("kind", type=click.Choice(["recipe", "pipeline", "report"]), default="recipe")
@common
def command(kind: str, *, as_json: bool) -> None:  # noqa: ARG001 (a schema is JSON either way)
    """Print the JSON Schema of a recipe (default), of pipeline.yaml, or of report.json."""
    from mlpipe import api

    print_json(api.schema(kind))
