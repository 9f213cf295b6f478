"""A tree ensemble of Core ML on 10,000 rows, beside the same trees in an ONNX model on ONNX Runtime.

python benchmarks/trees.py [--trees 500] [--rows 10000] [--runs 5]

CPU time of one thread, the two in turn, median of the ratios. mlpipe's time is that of `load_model(...).predict(list of feeds)`, from dictionaries to
dictionaries; ONNX Runtime's is that of one array in and one array out, in float32 (`TreeEnsembleRegressor`, its kernel for such models).
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from mlpipe.model_files.protobuf import model_pb2
from mlpipe.runtime import load_model
from mlpipe.runtime.ort import import_onnxruntime

DEPTH, FEATURES = 6, 20
GOAL = "<= 2.00"


def core_ml(trees: int, values: int) -> Any:
    """Return a regressor of complete trees with random splits, and this many values a leaf."""
    random = np.random.default_rng(0)
    spec = model_pb2().Model(specificationVersion=1)
    for described, name, size in ((spec.description.input, "x", FEATURES), (spec.description.output, "y", values)):
        feature = described.add(name=name)
        feature.type.multiArrayType.dataType = 65600
        feature.type.multiArrayType.shape.append(size)
    spec.description.predictedFeatureName = "y"
    ensemble = spec.treeEnsembleRegressor.treeEnsemble
    ensemble.numPredictionDimensions = values
    inner = 2**DEPTH - 1
    for tree in range(trees):
        for node in range(2 * inner + 1):
            added = ensemble.nodes.add(treeId=tree, nodeId=node, nodeBehavior=6 if node >= inner else 0)
            if node < inner:
                added.branchFeatureIndex, added.branchFeatureValue = int(random.integers(FEATURES)), float(np.float32(random.normal()))
                added.trueChildNodeId, added.falseChildNodeId = 2 * node + 1, 2 * node + 2
            else:
                for index in range(values):
                    added.evaluationInfo.add(evaluationIndex=index, evaluationValue=float(np.float32(random.normal())))
    return spec


def onnx_session(spec: Any) -> Any:
    """Return ONNX Runtime's session of the same trees."""
    from onnx import TensorProto, helper

    ensemble = spec.treeEnsembleRegressor.treeEnsemble
    nodes, values = ensemble.nodes, ensemble.numPredictionDimensions
    leaves = [(node, info) for node in nodes for info in node.evaluationInfo]
    made = helper.make_node(
        "TreeEnsembleRegressor",
        ["x"],
        ["y"],
        domain="ai.onnx.ml",
        n_targets=values,
        nodes_treeids=[node.treeId for node in nodes],
        nodes_nodeids=[node.nodeId for node in nodes],
        nodes_modes=["LEAF" if node.nodeBehavior == 6 else "BRANCH_LEQ" for node in nodes],
        nodes_featureids=[node.branchFeatureIndex for node in nodes],
        nodes_values=[node.branchFeatureValue for node in nodes],
        nodes_truenodeids=[node.trueChildNodeId for node in nodes],
        nodes_falsenodeids=[node.falseChildNodeId for node in nodes],
        target_treeids=[node.treeId for node, _ in leaves],
        target_nodeids=[node.nodeId for node, _ in leaves],
        target_ids=[info.evaluationIndex for _, info in leaves],
        target_weights=[info.evaluationValue for _, info in leaves],
    )
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [None, FEATURES])]
    graph = helper.make_graph([made], "trees", inputs, [helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, values])])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("ai.onnx.ml", 3), helper.make_opsetid("", 21)], ir_version=10)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    return onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])


def seconds(work: Callable[[], Any]) -> float:
    """Return the CPU time of a call."""
    start = time.process_time()
    work()
    return time.process_time() - start


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trees", type=int, default=500)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    rows = np.random.default_rng(1).normal(size=(arguments.rows, FEATURES)).astype(np.float32)
    print("| values a leaf | mlpipe | ONNX Runtime | ratio | goal | largest difference |\n|---|---|---|---|---|---|")
    for values in (1, 3, 10):
        spec = core_ml(arguments.trees, values)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "trees.mlmodel"
            path.write_bytes(spec.SerializeToString())
            ours = load_model(path)
        theirs = onnx_session(spec)
        feeds = [{"x": row} for row in rows]
        found = np.stack([result["y"] for result in ours.predict(feeds)])
        difference = np.abs(found - theirs.run(None, {"x": rows})[0]).max()
        times = [(seconds(partial(ours.predict, feeds)), seconds(partial(theirs.run, None, {"x": rows}))) for _ in range(arguments.runs)]
        mine, other = (statistics.median(each) for each in zip(*times, strict=True))
        ratio = statistics.median(a / b for a, b in times)
        print(f"| {values} | {mine:.3f} s | {other:.3f} s | {ratio:.2f} | {GOAL} | {difference:.1e} |", flush=True)


if __name__ == "__main__":
    main()
