"""`mlpipe clean`: remove what runs wrote."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, print_json, workspace_option


@click.command(name="clean", epilog="Examples: mlpipe clean digits; mlpipe clean --all")
@click.argument("names", nargs=-1, metavar="[NAME...]")
@click.option("--all", "everything", is_flag=True, help="Also the state, logs and history of runs (build/.mlpipe).")
@workspace_option
@common
def command(names: tuple[str, ...], workspace: Path | None, *, everything: bool, as_json: bool) -> None:
    """Remove build/NAME of the named recipes (default: of all). The cache stays, so the next run restores them."""
    from mlpipe import api

    removed = [str(path) for path in api.clean(names, workspace=workspace, everything=everything)]
    if as_json:
        print_json({"removed": removed})
    else:
        click.echo("\n".join(f"removed {path}" for path in removed) or "nothing to remove")
