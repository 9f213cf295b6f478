"""`mlpipe run`: the main job."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json, recipes_argument, workspace_option
from mlpipe.exit_codes import ExitCode


@click.command(name="run", epilog="Examples: mlpipe run; mlpipe run recipe.yaml -j 2; mlpipe run --only 'digits:*:linear-8'")
@recipes_argument
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=None, help="Tasks at once; default: one a core.")
@click.option("--only", multiple=True, metavar="GLOB", help="Only these tasks and what they need; the result is PARTIAL, never passed.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first step that fails.")
@click.option("--require-gate", is_flag=True, help="A recipe without `gate:` fails.")
@workspace_option
@common
def command(
    recipes: tuple[Path, ...],
    jobs: int | None,
    only: tuple[str, ...],
    workspace: Path | None,
    *,
    fail_fast: bool,
    require_gate: bool,
    as_json: bool,
) -> ExitCode:
    """Run what is stale of the RECIPES (default: those of pipeline.yaml), and gate the result."""
    from mlpipe import api
    from mlpipe.cli.console.reporter import make_reporter
    from mlpipe.cli.console.table import print_result

    with make_reporter() as reporter:
        result = api.run(recipes, jobs=jobs, only=only, fail_fast=fail_fast, require_gate=require_gate, workspace=workspace, reporter=reporter)
    if as_json:
        print_json(result.as_dict())
    else:
        print_result(result)
    return result.exit_code
