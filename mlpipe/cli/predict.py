"""`mlpipe predict`: run a Core ML model on this machine."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from mlpipe.cli.options import common, function_option, precision_option, print_json
from mlpipe.errors import RecipeError
from mlpipe.exit_codes import ExitCode

if TYPE_CHECKING:
    from mlpipe.analysis.prediction.result import Prediction
    from mlpipe.analysis.prediction.run import Predictions

EPILOG = """\b
Values of --input:
  photo.png               an image, for an image input, or with --scale and --bias for an array
  x.npy, data.npz:x       an array; of an .npz the array with the input's name, or the one named after the colon
  x.json, x.txt           lists, or plain numbers
  3, 0.5, [1, 2], NaN     the numbers themselves
  {"great": 1}            a dictionary, for inputs that are dictionaries
  some text, @review.txt  for inputs of strings: the text itself, or a file's
\b
Examples:
  mlpipe predict Digits.mlmodel --input image=seven.png
  mlpipe predict Photo.mlpackage --input image=cat.jpg --fit crop --json
  mlpipe predict Net.mlpackage --input x=x.npy --input 'sizes=[1, 2]' --tap block1_out -o outputs.npz
  mlpipe predict Photo.mlpackage --samples photos/ --fit stretch -o results.json
"""


@click.command(name="predict", epilog=EPILOG)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--input", "-i", "inputs", multiple=True, metavar="NAME=VALUE", help="What an input is fed: a file or the value itself, see below.")
@click.option("--samples", metavar="PLACE", help="Many predictions: a folder or 'glob' with a file a sample, or an .npz with samples along the first axis.")
@click.option("--limit", type=click.IntRange(min=1), help="At most so many samples, in order.")
@click.option("--output", "-o", type=click.Path(path_type=Path), help="Where to write all outputs: a .npz, .json, .png (for one image), or a folder.")
@click.option(
    "--fit", type=click.Choice(["exact", "stretch", "crop", "pad"]), default="exact", help="How images get the model's size; default: they must have it."
)
@click.option("--crop-fraction", type=click.FloatRange(min=0, max=1, min_open=True), default=1.0, help="With --fit crop: the central part kept, e.g. 0.875.")
@click.option("--color", type=click.Choice(["grayscale", "rgb", "bgr"]), help="How images are read for inputs that are arrays.")
@click.option("--scale", type=float, default=1.0, help="Multiplies pixels for inputs that are arrays.")
@click.option("--bias", type=float, default=0.0, help="Added to them after --scale.")
@precision_option
@function_option
@click.option("--tap", "taps", multiple=True, metavar="NAME", help="Also give the value of this name between inputs and outputs.")
@click.option(
    "--custom-layer", "custom_layers", multiple=True, metavar="CLASS=FILE.py:FUNCTION", help="A Python reference that stands in for a custom layer's class."
)
@click.option("--overflows", is_flag=True, help="Also name the layers that overflow float16 on these inputs, or come near it.")
@click.option("--keep-state", is_flag=True, help="Carry a stateful model's state from sample to sample; default: zeros for each.")
@common
def command(
    model: Path,
    inputs: tuple[str, ...],
    samples: str | None,
    output: Path | None,
    custom_layers: tuple[str, ...],
    *,
    as_json: bool,
    **options: Any,
) -> ExitCode:
    """Run MODEL, a Core ML file, on inputs or on many samples, and say what it gives.

    It is executed by mlpipe's own runtime; docs/runtime.md says what that shows and what it does not.
    """
    from mlpipe import api
    from mlpipe.cli.console.streams import write_line

    if not samples and (options["limit"] or options["keep_state"]):
        raise RecipeError(f"--{'limit' if options['limit'] else 'keep-state'} is for --samples")
    if options["crop_fraction"] != 1.0 and options["fit"] != "crop":
        raise RecipeError("--crop-fraction is for --fit crop")
    references = _pairs(custom_layers, "--custom-layer", "CLASS=FILE.py:FUNCTION", "e.g. --custom-layer Swish=swish.py:swish")
    given = _pairs(inputs, "--input", "NAME=VALUE", "e.g. --input image=photo.png; mlpipe inspect lists the inputs")
    made = api.predict(model, given, samples=samples, output=output, custom_layers=references, **options)
    if references:
        write_line(f"note: the outputs rest on what was given for {', '.join(references)}, not on the app's own class", sys.stderr)
    if made.note:
        write_line(f"note: {made.note}", sys.stderr)
    return _one(made, as_json=as_json, output=output) if samples is None else _many(made, as_json=as_json, output=output)


def _pairs(words: tuple[str, ...], option: str, form: str, example: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for word in words:
        name, separator, value = word.partition("=")
        if not separator or not name or not value:
            raise RecipeError(f"{option} {word}: expected {form}", fix=example)
        if name in pairs:
            raise RecipeError(f"{option} {name} is given twice")
        pairs[name] = value
    return pairs


def _one(made: Predictions, *, as_json: bool, output: Path | None) -> ExitCode:
    (prediction,) = made
    entry = _entry(prediction)
    if as_json:
        print_json({**_head(made), **entry, **_written(output)})
        return ExitCode.DONE
    _show(entry)
    if output:
        click.echo(f"wrote {output}")
    return ExitCode.DONE


def _many(made: Predictions, *, as_json: bool, output: Path | None) -> ExitCode:
    from mlpipe.cli.console.plain import PlainReporter
    from mlpipe.cli.console.reporter import make_reporter
    from mlpipe.cli.console.streams import is_terminal, write_line

    entries: list[dict[str, Any]] = []
    failed = 0
    # Live lines below and results above do not share a terminal: there the results themselves are the progress.
    plain = is_terminal(sys.stdout) and not as_json
    with PlainReporter(sys.stderr) if plain else make_reporter() as reporter:
        reporter.started("predict")
        for done, prediction in enumerate(made, 1):
            failed += prediction.error is not None
            entry = {"sample": prediction.sample, **_entry(prediction)}
            if as_json:
                entries.append(entry)
            elif prediction.error is not None:
                write_line(f"{prediction.sample}: {prediction.error}", sys.stderr)
            else:
                write_line(f"{prediction.sample}:", sys.stdout)
                _show(entry, indent="  ")
            reporter.progress("predict", done, made.total, "samples")
    if as_json:
        print_json({**_head(made), "samples": entries, "failed": failed, **_written(output)})
    elif output:
        click.echo(f"wrote {output}")
    if failed:
        click.echo(f"{failed} of {made.total} samples failed", err=True)
    return ExitCode.STEP_FAILED if failed else ExitCode.DONE


def _entry(prediction: Prediction) -> dict[str, Any]:
    """Return a prediction as JSON-able data."""
    from mlpipe.analysis.prediction.summary import described

    if prediction.error is not None:
        return {"error": prediction.error.as_dict()}
    entry: dict[str, Any] = {"outputs": {name: described(value) for name, value in prediction.outputs.items()}}
    if prediction.taps:
        entry["taps"] = {name: described(value) for name, value in prediction.taps.items()}
    if prediction.overflows is not None:
        entry["overflows"] = [{"name": found.name, "type": found.type, "says": str(found)} for found in prediction.overflows]
    return entry


def _written(output: Path | None) -> dict[str, str]:
    return {} if output is None else {"written": str(output)}


def _head(made: Predictions) -> dict[str, Any]:
    from mlpipe import __version__

    return {"mlpipe": __version__, "function": made.model.function_name, "precision": str(made.model.precision)}


def _show(entry: Mapping[str, Any], indent: str = "") -> None:
    """Print outputs and taps a line each, and then what overflows."""
    from mlpipe.analysis.prediction.summary import in_words
    from mlpipe.cli.console.streams import write_line

    found = {**entry["outputs"], **{f"tap {name}": value for name, value in entry.get("taps", {}).items()}}
    width = max((len(name) for name in found), default=0)
    for name, value in found.items():
        line = " ".join(in_words(value).splitlines())
        write_line(f"{indent}{name:<{width}}  {line}", sys.stdout)
    for overflow in entry.get("overflows", ()):
        write_line(f"{indent}overflow: {overflow['says']}", sys.stdout)
    if entry.get("overflows") == []:
        write_line(f"{indent}no layer comes near the end of float16", sys.stdout)
