"""coremltools as the independent reference, in a process of its own: `build FOLDER` makes models, `decode FOLDER` decodes every model in it to an .npz.

TensorFlow and torch are hidden while coremltools is imported: models built layer by layer need neither, and the import is ten times as fast.
"""

from __future__ import annotations

import importlib.abc
import sys
from pathlib import Path

import numpy as np


class _Hidden(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):  # noqa: ARG002 - the signature of an importer
        if name.partition(".")[0] in ("tensorflow", "torch"):
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
    builder.add_activation("relu", "RELU", "b", "b_relu")  # coremltools' fusion of a convolution without bias and a batch norm fails
    builder.add_batchnorm("bn", 16, normal(16), normal(16), normal(16), np.abs(normal(16)), input_name="b_relu", output_name="c")
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
    from coremltools.converters.mil import Builder as mb  # noqa: N813 - its usual name

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


def build(folder: Path) -> None:
    """The uncompressed models, and in `theirs` what coremltools' own compression makes of them."""
    theirs = folder / "theirs"
    theirs.mkdir()
    network = neural_network()
    ct.models.utils.save_spec(network, str(folder / "network.mlmodel"))
    quantize_network(network, theirs)
    for name, target, precision in (
        ("program_ios15", ct.target.iOS15, ct.precision.FLOAT32),
        ("program_ios16", ct.target.iOS16, ct.precision.FLOAT16),
        ("program_ios16_fp32", ct.target.iOS16, ct.precision.FLOAT32),
        ("program_ios18", ct.target.iOS18, ct.precision.FLOAT16),
        ("program_ios18_fp32", ct.target.iOS18, ct.precision.FLOAT32),
    ):
        model = ml_program(target, precision)
        model.save(str(folder / f"{name}.mlpackage"))
        if name in ("program_ios16", "program_ios18"):
            compress_program(model, name, theirs, with_ios18=target == ct.target.iOS18)


def quantize_network(spec, folder: Path) -> None:
    from coremltools.models.neural_network.quantization_utils import quantize_weights

    for bits, mode in (
        (16, "linear"),
        (8, "linear"),
        (5, "linear"),
        (3, "linear"),
        (1, "linear"),
        (8, "linear_symmetric"),
        (6, "linear_lut"),
        (2, "linear_lut"),
    ):
        model = ct.models.MLModel(spec, skip_model_load=True)
        quantized = quantize_weights(model, bits, mode)
        ct.models.utils.save_spec(getattr(quantized, "_spec", quantized), str(folder / f"network-{mode}-{bits}.mlmodel"))


def compress_program(model, name: str, folder: Path, *, with_ios18: bool) -> None:
    import coremltools.optimize.coreml as cto

    def config(kind, **options):
        return cto.OptimizationConfig(global_config=kind(weight_threshold=10, **options))

    quantizer, palettizer, pruner = cto.OpLinearQuantizerConfig, cto.OpPalettizerConfig, cto.OpMagnitudePrunerConfig
    variants = {
        "int8": lambda: cto.linear_quantize_weights(model, config(quantizer, mode="linear_symmetric")),
        "uint8": lambda: cto.linear_quantize_weights(model, config(quantizer, mode="linear", dtype="uint8")),
        "tensor": lambda: cto.linear_quantize_weights(model, config(quantizer, mode="linear", dtype="uint8", granularity="per_tensor")),
        "palette6": lambda: cto.palettize_weights(model, config(palettizer, mode="uniform", nbits=6)),
        "palette1": lambda: cto.palettize_weights(model, config(palettizer, mode="uniform", nbits=1)),
        "sparse": lambda: cto.prune_weights(model, config(pruner, target_sparsity=0.6)),
    }
    if with_ios18:
        sparse = cto.prune_weights(model, config(pruner, target_sparsity=0.6))
        palette = cto.palettize_weights(model, config(palettizer, mode="uniform", nbits=4))
        variants |= {
            "int4-block": lambda: cto.linear_quantize_weights(model, config(quantizer, dtype="int4", granularity="per_block", block_size=8)),
            "uint4": lambda: cto.linear_quantize_weights(model, config(quantizer, mode="linear", dtype="uint4")),
            "palette3": lambda: cto.palettize_weights(model, config(palettizer, mode="uniform", nbits=3)),
            "groups": lambda: cto.palettize_weights(model, config(palettizer, mode="uniform", nbits=2, granularity="per_grouped_channel", group_size=4)),
            "vectors": lambda: cto.palettize_weights(model, config(palettizer, mode="kmeans", nbits=4, cluster_dim=4)),
            "sparse-palette": lambda: cto.palettize_weights(sparse, config(palettizer, mode="uniform", nbits=4), joint_compression=True),
            "sparse-int8": lambda: cto.linear_quantize_weights(sparse, config(quantizer), joint_compression=True),
            "palette-int8": lambda: cto.linear_quantize_weights(palette, config(quantizer, granularity="per_tensor"), joint_compression=True),
        }
    for variant, make in variants.items():
        make().save(str(folder / f"{name}-{variant}.mlpackage"))


def decode(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix == ".mlmodel":
            values = decode_network(ct.models.utils.load_spec(str(path)))
        elif path.suffix == ".mlpackage":
            values = decode_program(ct.models.MLModel(str(path), skip_model_load=True))
        else:
            continue
        np.savez(path.with_suffix(".npz"), **values)


def decode_network(spec) -> dict:
    """Every weight after coremltools' own dequantization, as `layer.field`."""
    from coremltools.models.neural_network.quantization_utils import _dequantize_nn_spec

    for _, params, channels in network_weights(spec.neuralNetwork):
        params.floatValue.extend(np.frombuffer(params.float16Value, np.float16))
        linear = params.quantization.linearQuantization
        if len(linear.scale) == 1 and channels:  # the format allows one scale for all channels, coremltools' dequantizer does not
            linear.scale.extend([linear.scale[0]] * (channels - 1))
            linear.bias.extend([linear.bias[0]] * (channels - 1))
    _dequantize_nn_spec(spec.neuralNetwork)
    return {name: np.array(params.floatValue, np.float32) for name, params, _ in network_weights(spec.neuralNetwork)}


def network_weights(network):
    """`layer.field`, the WeightParams, and how many output channels it has; 0 for biases and constants."""
    for layer in network.layers:
        holder = getattr(layer, layer.WhichOneof("layer"))
        channels = getattr(holder, "outputChannels", 0) or getattr(holder, "weightMatrixSecondDimension", 0)
        for field, value in holder.ListFields():
            if getattr(field.message_type, "name", "") == "WeightParams":
                yield f"{layer.name}.{field.name}", value, channels if field.name == "weights" else 0


def decode_program(model) -> dict:
    """Every float constant as PyMIL sees it, those of `constexpr_*` operations decompressed."""
    from coremltools.converters.mil.frontend.milproto.load import load

    program = load(model.get_spec(), model.get_spec().specificationVersion, model.weights_dir)
    found = {}
    for op in program.functions["main"].operations:
        if op.op_type == "const":
            found[op.outputs[0].name] = op.outputs[0].val
        elif op.op_type.startswith("constexpr_"):
            if op.op_type == "constexpr_lut_to_dense" and op.lut.val is None:  # coremltools' own inference forgets a table that is compressed itself
                values = op.decompress(op.indices.val, op.lut.op.materialized_val_inference(), None)
            else:
                values = op.materialized_val_inference()
            for output, value in zip(op.outputs, values if isinstance(values, tuple) else (values,), strict=True):
                found[output.name] = value
    return {name: value for name, value in found.items() if isinstance(value, np.ndarray) and value.dtype.kind == "f"}


if __name__ == "__main__":
    {"build": build, "decode": decode}[sys.argv[1]](Path(sys.argv[2]))
