"""`mlpipe show`: the recipe with every default expanded."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json


@click.command(name="show", epilog="Example: mlpipe show recipes/digits/recipe.yaml")
@click.argument("recipe", type=click.Path(path_type=Path))
@common
def command(recipe: Path, *, as_json: bool) -> None:
    """Print RECIPE with every default, variable, sweep and gate expanded. The output is a recipe again."""
    from mlpipe import api

    expanded = api.show(recipe)
    if as_json:
        print_json(expanded)
        return
    import yaml

    click.echo(yaml.safe_dump(expanded, sort_keys=False, allow_unicode=True, width=120), nl=False)
