"""Builds small Core ML models of both kinds with coremltools and what coremltools itself makes of them; run as a process of its own.

TensorFlow and torch are hidden while coremltools is imported: models built layer by layer need neither, and the import is ten times as fast.
"""

from __future__ import annotations

import importlib.abc
import sys
from pathlib import Path

import numpy as np


class _Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("tensorflow", "torch", "sklearn"):
            raise ModuleNotFoundError(name)


def import_coremltools():
    finder = _Hidden()
    sys.meta_path.insert(0, finder)
    try:
        import coremltools
    finally:
        sys.meta_path.remove(finder)
    return coremltools


ct = import_coremltools()
RNG = np.random.default_rng(7)


def normal(*shape, scale=1.0):
    return (RNG.normal(size=shape) * scale).astype(np.float32)


def neural_network() -> object:
    """Every kind of layer whose weights can be compressed, each with a size of its own."""
    from coremltools.models import datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder

    builder = NeuralNetworkBuilder([("image", datatypes.Array(3, 8, 8))], [("scores", datatypes.Array(5))], disable_rank5_shape_mapping=True)
    builder.add_convolution("conv", 3, 16, 3, 3, 1, 1, "same", 1, W=normal(3, 3, 3, 16), b=normal(16), has_bias=True, input_name="image", output_name="a")
    builder.add_convolution("depthwise", 1, 16, 3, 3, 1, 1, "same", 16, W=normal(3, 3, 1, 16), b=None, has_bias=False, input_name="a", output_name="b")
    builder.add_batchnorm("bn", 16, normal(16), normal(16), normal(16), np.abs(normal(16)), input_name="b", output_name="c")
    builder.add_convolution(
        "deconv", 16, 8, 2, 2, 2, 2, "valid", 1, W=normal(2, 2, 8, 16), b=normal(8), has_bias=True, is_deconv=True, input_name="c", output_name="d"
    )
    builder.add_flatten_to_2d("flat", "d", "e", axis=1)
    builder.add_inner_product("dense", normal(24, 8 * 16 * 16), normal(24), 8 * 16 * 16, 24, has_bias=True, input_name="e", output_name="f")
    builder.add_batched_mat_mul("matmul", ["f"], "g", weight_matrix_rows=24, weight_matrix_columns=20, W=normal(24, 20), bias=normal(20))
    builder.add_load_constant_nd("table", "h", constant_value=normal(20, 9), shape=(20, 9))
    builder.add_load_constant_nd("indices", "i", constant_value=np.arange(40.0).reshape(4, 10), shape=(4, 10))
    builder.add_batched_mat_mul("product", ["g", "h"], "j")
    builder.add_inner_product("out", normal(5, 9), normal(5), 9, 5, has_bias=True, input_name="j", output_name="scores")
    return builder.spec


def ml_program(target, precision) -> object:
    """Convolution, transposed convolution, matmul both ways, linear, an embedding, a bias-like constant, and one layer with tiny weights."""
    from coremltools.converters.mil import Builder as mb

    @mb.program(input_specs=[mb.TensorSpec(shape=(1, 3, 8, 8))], opset_version=target)
    def program(x):
        x = mb.conv(x=x, weight=normal(16, 3, 3, 3), bias=normal(16), pad_type="same", name="conv")
        x = mb.conv(x=x, weight=normal(16, 16, 1, 1, scale=1e-6), pad_type="valid", name="tiny")
        x = mb.mul(x=x, y=normal(1, 16, 1, 1), name="scaled")
        x = mb.conv_transpose(x=x, weight=normal(16, 8, 2, 2), strides=[2, 2], name="deconv")
        x = mb.reshape(x=x, shape=(1, 16, 128), name="rows")
        x = mb.matmul(x=x, y=normal(128, 64), name="matmul")
        x = mb.matmul(x=x, y=normal(32, 64), transpose_y=True, name="matmul_transposed")
        x = mb.add(x=x, y=normal(1, 16, 32), name="positions")
        return mb.linear(x=x, weight=normal(48, 32), bias=normal(48), name="dense")

    return ct.convert(program, convert_to="mlprogram", minimum_deployment_target=target, compute_precision=precision, pass_pipeline=ct.PassPipeline.DEFAULT)


def main(folder: Path) -> None:
    ct.models.utils.save_spec(neural_network(), str(folder / "network.mlmodel"))
    for name, target, precision in (
        ("program_ios15", ct.target.iOS15, ct.precision.FLOAT32),
        ("program_ios16", ct.target.iOS16, ct.precision.FLOAT16),
        ("program_ios16_fp32", ct.target.iOS16, ct.precision.FLOAT32),
        ("program_ios18", ct.target.iOS18, ct.precision.FLOAT16),
        ("program_ios18_fp32", ct.target.iOS18, ct.precision.FLOAT32),
    ):
        ml_program(target, precision).save(str(folder / f"{name}.mlpackage"))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
