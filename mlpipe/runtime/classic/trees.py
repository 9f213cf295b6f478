"""Tree ensembles, evaluated by ONNX Runtime's kernel in float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mlpipe.errors import NotExecutable
from mlpipe.runtime.classic.columns import Columns, Transform, class_labels, classified, matrix, regressed, require_small
from mlpipe.runtime.classic.links import logistic, softmax, softmax_with_reference, with_complement
from mlpipe.runtime.features import Interface
from mlpipe.runtime.ort import import_onnxruntime

LEAF = 6
EQUAL, NOT_EQUAL = 4, 5
LARGEST_FEATURE = 2**31 - 1

TRANSFORMS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "NoTransform": lambda scores: scores,
    "Classification_SoftMax": softmax,
    "Regression_Logistic": logistic,
    "Classification_SoftMaxWithZeroClassReference": softmax_with_reference,
}
"""The specification's names of post-evaluation transforms."""


@dataclass
class _Nodes:
    """The attributes of ONNX's `TreeEnsemble` (ai.onnx.ml 5): branches and leaves are numbered apart."""

    roots: list[int] = field(default_factory=list)
    modes: list[int] = field(default_factory=list)
    splits: list[float] = field(default_factory=list)
    features: list[int] = field(default_factory=list)
    missing_true: list[int] = field(default_factory=list)
    true_ids: list[int] = field(default_factory=list)
    true_leaves: list[int] = field(default_factory=list)
    false_ids: list[int] = field(default_factory=list)
    false_leaves: list[int] = field(default_factory=list)
    leaves: list[tuple[int, list[tuple[int, float]]]] = field(default_factory=list)
    """For each leaf its tree and what it adds: (dimension, value)."""


def ensemble(parameters: Any) -> Callable[[np.ndarray], np.ndarray]:
    """Return the function from samples x features to samples x dimensions: the base values and what every tree's leaf adds.

    A missing value (NaN) goes where the node says.
    Errors: NotExecutable where the trees are none: a root is missing or not single, a node is named that does not exist, or is reached twice.
    """
    dimensions = int(parameters.numPredictionDimensions)
    base = np.array(parameters.basePredictionValue, np.float64)
    if dimensions < 1 or len(base) not in (0, dimensions):
        raise NotExecutable(f"the tree ensemble has {len(base)} base values for {dimensions} dimensions")
    require_small(dimensions, "what the trees add up")
    nodes = _read(parameters.nodes, dimensions)
    start = base if len(base) else np.zeros(dimensions)
    if not nodes.roots:
        return lambda features: np.tile(start, (len(features), 1))
    width = max(nodes.features, default=0) + 1
    if all(len(values) <= 1 for _, values in nodes.leaves):
        # One value a leaf, as boosted trees have them: the kernel sums.
        targets = [values[0][0] if values else 0 for _, values in nodes.leaves]
        add = _session(nodes, [values[0][1] if values else 0.0 for _, values in nodes.leaves], targets, dimensions)
    else:
        # Several values a leaf, as forests of classifiers have them: the kernel says which leaf each tree ends in.
        reached = _session(nodes, [float(index) for index in range(len(nodes.leaves))], [tree for tree, _ in nodes.leaves], len(nodes.roots))
        require_small(len(nodes.leaves) * dimensions, "what the leaves of the trees add")
        table = np.zeros((len(nodes.leaves), dimensions))
        for index, (_, values) in enumerate(nodes.leaves):
            for dimension, value in values:
                table[index, dimension] += value
        add = _sum_of_leaves(reached, table)

    def run(features: np.ndarray) -> np.ndarray:
        if features.shape[1] < width:
            raise NotExecutable(f"the trees ask for feature {width - 1}, and the model has {features.shape[1]}")
        return np.asarray(start + add(features))

    return run


def _sum_of_leaves(reached: Callable[[np.ndarray], np.ndarray], table: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    def add(features: np.ndarray) -> np.ndarray:
        leaves = reached(features).astype(np.int64)
        total = np.zeros((len(features), table.shape[1]))
        for tree in range(leaves.shape[1]):
            total += table[leaves[:, tree]]
        return total

    return add


def _read(listed: Any, dimensions: int) -> _Nodes:
    trees: dict[int, dict[int, Any]] = {}
    for node in listed:
        tree = trees.setdefault(node.treeId, {})
        if node.nodeId in tree:
            raise NotExecutable(f"tree {node.treeId} has two nodes {node.nodeId}")
        tree[node.nodeId] = node
    nodes = _Nodes()
    for number, (name, tree) in enumerate(trees.items()):
        _add_tree(nodes, tree, _root(name, tree), number, dimensions)
    return nodes


def _root(name: int, tree: dict[int, Any]) -> int:
    """Return the node that no other leads to, once every node is known to be reached from it, and only once."""
    children = {key: [] if node.nodeBehavior == LEAF else [node.trueChildNodeId, node.falseChildNodeId] for key, node in tree.items()}
    roots = tree.keys() - {child for pair in children.values() for child in pair}
    reached: set[int] = set()
    waiting = list(roots)
    while waiting:
        key = waiting.pop()
        if key in reached or key not in tree:
            raise NotExecutable(f"tree {name} of the ensemble is no tree", why=f"node {key} is reached twice" if key in reached else f"node {key} is missing")
        reached.add(key)
        waiting += children[key]
    if len(roots) != 1 or len(reached) != len(tree):
        raise NotExecutable(f"tree {name} of the ensemble is no tree", why=f"it has {len(roots)} roots, which reach {len(reached)} of {len(tree)} nodes")
    return roots.pop()


def _add_tree(nodes: _Nodes, tree: dict[int, Any], root: int, number: int, dimensions: int) -> None:
    places: dict[int, int] = {}
    for name, node in tree.items():
        if node.nodeBehavior == LEAF:
            values = [(int(info.evaluationIndex), float(info.evaluationValue)) for info in node.evaluationInfo]
            if any(index >= dimensions for index, _ in values):
                raise NotExecutable(f"leaf {name} adds to a dimension that the ensemble does not have", why=f"it has {dimensions}")
            places[name] = len(nodes.leaves)
            nodes.leaves.append((number, values))
    first = len(nodes.splits)
    branches = [name for name, node in tree.items() if node.nodeBehavior != LEAF]
    places |= {name: first + offset for offset, name in enumerate(branches)}
    if not branches:
        # A tree of one leaf: a branch that leads to it either way.
        nodes.roots.append(first)
        _add_branch(nodes, EQUAL, 0.0, 0, (places[root], True), (places[root], True))
        return
    nodes.roots.append(places[root])
    for name in branches:
        node = tree[name]
        yes = places[node.trueChildNodeId], tree[node.trueChildNodeId].nodeBehavior == LEAF
        no = places[node.falseChildNodeId], tree[node.falseChildNodeId].nodeBehavior == LEAF
        missing = bool(node.missingValueTracksTrueChild)
        if node.nodeBehavior == NOT_EQUAL:
            # The kernel finds NaN unequal to every number before it asks where missing values go.
            _add_branch(nodes, EQUAL, node.branchFeatureValue, node.branchFeatureIndex, no, yes, missing_true=not missing)
        else:
            _add_branch(nodes, node.nodeBehavior, node.branchFeatureValue, node.branchFeatureIndex, yes, no, missing_true=missing)


def _add_branch(nodes: _Nodes, mode: int, split: float, feature: int, yes: tuple[int, bool], no: tuple[int, bool], *, missing_true: bool = False) -> None:
    if feature > LARGEST_FEATURE:
        raise NotExecutable(f"the trees ask for feature {feature}", why=f"the runtime counts features up to {LARGEST_FEATURE}")
    nodes.modes.append(mode)
    nodes.splits.append(split)
    nodes.features.append(int(feature))
    nodes.missing_true.append(int(missing_true))
    nodes.true_ids.append(yes[0])
    nodes.true_leaves.append(int(yes[1]))
    nodes.false_ids.append(no[0])
    nodes.false_leaves.append(int(no[1]))


def _session(nodes: _Nodes, weights: list[float], targets: list[int], count: int) -> Callable[[np.ndarray], np.ndarray]:
    """Return ONNX Runtime's ensemble: samples x features to samples x `count` sums."""
    from onnx import TensorProto, helper, numpy_helper

    node = helper.make_node(
        "TreeEnsemble",
        ["features"],
        ["sums"],
        domain="ai.onnx.ml",
        n_targets=count,
        tree_roots=nodes.roots,
        nodes_modes=numpy_helper.from_array(np.array(nodes.modes, np.uint8)),
        nodes_splits=numpy_helper.from_array(np.array(nodes.splits, np.float64)),
        nodes_featureids=nodes.features,
        nodes_missing_value_tracks_true=nodes.missing_true,
        nodes_truenodeids=nodes.true_ids,
        nodes_trueleafs=nodes.true_leaves,
        nodes_falsenodeids=nodes.false_ids,
        nodes_falseleafs=nodes.false_leaves,
        leaf_weights=numpy_helper.from_array(np.array(weights, np.float64)),
        leaf_targetids=targets,
    )
    inputs = [helper.make_tensor_value_info("features", TensorProto.DOUBLE, [None, None])]
    graph = helper.make_graph([node], "trees", inputs, [helper.make_tensor_value_info("sums", TensorProto.DOUBLE, [None, count])])
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("ai.onnx.ml", 5)]
    model = helper.make_model(graph, opset_imports=opsets, ir_version=10)
    onnxruntime = import_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])

    def run(features: np.ndarray) -> np.ndarray:
        return np.asarray(session.run(None, {"features": np.ascontiguousarray(features, np.float64)})[0])

    return run


def regressor(parameters: Any, interface: Interface) -> Transform:
    """Return an ensemble of regression trees."""
    evaluate = ensemble(parameters.treeEnsemble)
    transform = _transform(parameters)

    def run(columns: Columns) -> Columns:
        return regressed(interface, transform(evaluate(matrix(columns, interface))))

    return run


def classifier(parameters: Any, interface: Interface) -> Transform:
    """Return an ensemble of classification trees: a score a class, or one for the second of two."""
    evaluate = ensemble(parameters.treeEnsemble)
    transform = _transform(parameters)
    labels = class_labels(parameters)

    def run(columns: Columns) -> Columns:
        scores = transform(evaluate(matrix(columns, interface)))
        if scores.shape[1] == 1 and len(labels) == 2:
            scores = with_complement(scores)
        return classified(interface, labels, scores)

    return run


def _transform(parameters: Any) -> Callable[[np.ndarray], np.ndarray]:
    names = {value.number: value.name for value in parameters.DESCRIPTOR.fields_by_name["postEvaluationTransform"].enum_type.values}
    if parameters.postEvaluationTransform not in names:
        raise NotExecutable(f"post-evaluation transform {parameters.postEvaluationTransform} is not known")
    return TRANSFORMS[names[parameters.postEvaluationTransform]]
