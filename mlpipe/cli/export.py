"""`mlpipe export`: a Core ML model as an ONNX model."""

from __future__ import annotations

from pathlib import Path

import click

from mlpipe.cli.options import common, function_option, precision_option, print_json

EPILOG = """\b
Images are fed as 1 x channels x height x width, 0 to 255; a classifier gives its scores, the labels are in the
metadata; a state is an input and an output. The file's metadata_props say so, feature by feature.
\b
Examples:
  mlpipe export Photo.mlpackage -o photo.onnx
  mlpipe export Photo.mlpackage -o photo.onnx --precision float16
"""


@click.command(name="export", epilog=EPILOG)
@click.argument("model", type=click.Path(exists=True, path_type=Path))
@click.option("--output", "-o", type=click.Path(dir_okay=False, path_type=Path), required=True, help="Where to write, a name that ends in .onnx.")
@precision_option
@function_option
@click.option("--external-data", is_flag=True, help="Write the weights to OUTPUT.data beside it, as weights of more than 1 GB always are.")
@common
def command(model: Path, output: Path, precision: str, function: str | None, *, external_data: bool, as_json: bool) -> None:
    """Write MODEL, a Core ML file, as the ONNX model that mlpipe's runtime executes for it."""
    from mlpipe import api

    written = api.export(model, output, precision=precision, function=function, external_data=external_data)
    if as_json:
        print_json(written)
        return
    beside = f" and {written['data']} ({written['data_size_bytes']:,} bytes)" if written["data"] else ""
    click.echo(f"wrote {written['path']} ({written['size_bytes']:,} bytes){beside}: opset {written['opset']}, IR version {written['ir_version']}")
    for side in ("inputs", "outputs"):
        for name, words in written[side].items():
            click.echo(f"  {side[:-1]:<7}{name}: {words}")
