"""Options that commands share, so that each is spelled and explained once."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

Function = TypeVar("Function", bound=Callable[..., Any])

json_option = click.option("--json", "as_json", is_flag=True, help="Print the result as JSON on stdout.")
debug_option = click.option("--debug", is_flag=True, help="Let errors through with their traceback.", expose_value=False)
workspace_option = click.option(
    "--workspace",
    "-C",
    type=click.Path(file_okay=False, exists=True, path_type=Path),
    default=None,
    help="The folder with pipeline.yaml; default: found upward from here.",
)
precision_option = click.option(
    "--precision",
    type=click.Choice(["float32", "float16"]),
    default="float32",
    help="float32 throughout (default), or what is declared float16 rounded after every operation.",
)
function_option = click.option("--function", metavar="NAME", default=None, help="Which function of an ML Program that has several; default: its own default.")
recipes_argument = click.argument("recipes", nargs=-1, type=click.Path(path_type=Path))


def common(function: Function) -> Function:
    """Add the options that every command has."""
    return debug_option(json_option(function))


def print_json(data: Any) -> None:
    """Print a result for machines: one JSON document, keys in their own order, in ASCII, which every terminal and pipe can take."""
    click.echo(json.dumps(data, indent=2, allow_nan=False))
