"""Run as a program: build a network with coremltools' own builder and quantizer, and save it for the tests.

In a process of its own, in which TensorFlow and torch cannot be imported: with them, importing coremltools takes five seconds instead of one.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

BLOCKED = ("tensorflow", "torch", "sklearn")


def main(folder: Path) -> None:
    sys.modules.update(dict.fromkeys(BLOCKED))
    from coremltools.models import MLModel, datatypes
    from coremltools.models.neural_network import NeuralNetworkBuilder
    from coremltools.models.neural_network.quantization_utils import quantize_weights

    random = np.random.default_rng(0)
    weights = {
        "convolution": random.normal(size=(3, 2, 2, 8)),  # height, width, input channels of a group, output channels
        "deconvolution": random.normal(size=(2, 3, 8, 3)),  # height, width, input channels, output channels of a group
        "inner": random.normal(size=(5, 6)),
        "matmul": random.normal(size=(7, 5)),
    }
    inputs = [("x", datatypes.Array(1, 4, 5, 6))]
    builder = NeuralNetworkBuilder(inputs, [(name, None) for name in weights], disable_rank5_shape_mapping=True)
    common = {"stride_height": 2, "stride_width": 2, "groups": 2, "b": None, "has_bias": False}
    builder.add_convolution("c", 2, 8, 3, 2, border_mode="same", W=weights["convolution"], input_name="x", output_name="convolution", **common)
    transposed = {"border_mode": "valid", "W": weights["deconvolution"], "is_deconv": True, "output_shape": [7, 7]}
    builder.add_convolution("d", 8, 6, 2, 3, input_name="convolution", output_name="deconvolution", **transposed, **common)
    builder.add_inner_product("i", weights["inner"], None, 6, 5, has_bias=False, input_name="rows", output_name="inner")
    builder.nn_spec.layers[-1].input[0] = "rows"
    builder.add_batched_mat_mul("m", ["inner"], "matmul", weight_matrix_rows=5, weight_matrix_columns=7, W=weights["matmul"].T)
    spec = builder.spec
    layers = list(spec.neuralNetwork.layers)
    del spec.neuralNetwork.layers[:]
    shape = spec.neuralNetwork.layers.add(name="r", input=["x"], output=["rows"])
    shape.reshapeStatic.targetShape.extend([20, 6])
    spec.neuralNetwork.layers.extend(layers)
    np.savez(folder / "weights.npz", **weights)
    for bits in (32, 16, 8, 4):
        model = MLModel(spec) if bits == 32 else quantize_weights(MLModel(spec), bits, "linear")
        saved = model if hasattr(model, "SerializeToString") else model.get_spec()
        (folder / f"{bits}.mlmodel").write_bytes(saved.SerializeToString())


if __name__ == "__main__":
    main(Path(sys.argv[1]))
