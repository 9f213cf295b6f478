"""`mlpipe`: finds the command, runs it, and turns what happened into an exit code."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping
from typing import Any

import click

from mlpipe import __version__
from mlpipe.cli.output import prepare_streams
from mlpipe.errors import MlpipeError
from mlpipe.exit_codes import ExitCode

COMMANDS: Mapping[str, str] = {
    "run": "Run what is stale: convert, quantize, predict, compare, gate, report.",
    "plan": "Say what would run, what comes from the cache, and why.",
    "explain": "Say which fields of a task's key changed, old -> new.",
    "log": "Print the log of a task's last run.",
    "show": "Print a recipe with every default expanded.",
    "schema": "Print the JSON Schema of recipes, pipeline.yaml or reports.",
    "init": "Read a model file and write a commented recipe that runs.",
    "inspect": "Describe a model file: inputs, outputs, layers, bits per weight.",
    "predict": "Run a Core ML model here, on arrays, images, numbers or a folder of samples.",
    "export": "Write a Core ML model as the ONNX model that mlpipe executes for it.",
    "clean": "Remove what runs wrote into build/ (the cache stays).",
    "doctor": "Check this machine: Python, packages, cache, disk.",
}
"""Every command and its line in `mlpipe --help`; a command's module is imported only when it is called."""

EPILOG = """\b
Examples:
  mlpipe init model.keras -o recipe.yaml
  mlpipe run recipe.yaml
  mlpipe run --only 'digits:*:linear-8'
  mlpipe plan --check
\b
Exit codes:
  0 done, all gates pass    1 a gate failed         2 recipe or command line wrong
  3 a step failed           4 mismatch              5 a tool is not installed
  70 a bug in mlpipe        130 interrupted
"""


class LazyGroup(click.Group):
    """A group that imports a command's module only to run it, so that `--help` costs nothing."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 (click's signature)
        """Return the commands in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Return a command, or None for an unknown name."""
        if cmd_name not in COMMANDS:
            return None
        command = importlib.import_module(f"mlpipe.cli.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Write the table without importing the commands."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.group(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="mlpipe")
def cli() -> None:
    """Build, compare and gate Core ML models from a recipe. Runs on Linux and macOS; sends nothing anywhere."""


def main(arguments: list[str] | None = None) -> None:
    """Run the command line and exit with one of ExitCode."""
    prepare_streams()
    words = sys.argv[1:] if arguments is None else arguments
    code = run(words)
    try:
        sys.stdout.flush()
    except MlpipeError as error:
        click.echo(str(error), err=True)
        code = error.exit_code
    sys.exit(int(code))


def run(words: list[str]) -> ExitCode:
    """Return the exit code of one command line."""
    as_json = "--json" in words
    try:
        result: Any = cli.main(words, prog_name="mlpipe", standalone_mode=False)
    except click.exceptions.Exit as stop:
        return ExitCode(stop.exit_code) if stop.exit_code in tuple(ExitCode) else ExitCode.RECIPE_WRONG
    except click.ClickException as error:
        _show_usage_error(error, as_json=as_json)
        return ExitCode.RECIPE_WRONG
    except MlpipeError as error:
        if "--debug" in words:
            raise
        from mlpipe.cli.console.errors import print_error

        print_error(error, as_json=as_json)
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return ExitCode.INTERRUPTED
    except Exception:
        if "--debug" in words:
            raise
        from mlpipe.cli.bug_report import report_bug

        report_bug(words)
        return ExitCode.BUG
    return result if isinstance(result, ExitCode) else ExitCode.DONE


def _show_usage_error(error: click.ClickException, *, as_json: bool) -> None:
    if as_json:
        import json

        print(json.dumps({"error": {"code": "E102", "type": "UsageError", "what": error.format_message()}}))
    else:
        error.show()
