"""TensorFlow's files into graphs: frozen .pb, SavedModel of TensorFlow 1 and 2, checkpoint with .meta."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mlpipe.errors import RecipeError, SourceUnreadable
from mlpipe.recipe.schema.source import Source
from mlpipe.sources.tensorflow_graph import GraphSource
from mlpipe.sources.traceable import first_line


def read_frozen(path: Path) -> GraphSource:
    """Return the graph of a frozen .pb. Errors: SourceUnreadable."""
    import tensorflow as tf
    from google.protobuf.message import DecodeError

    graph = tf.compat.v1.GraphDef()
    try:
        graph.ParseFromString(path.read_bytes())
    except DecodeError as error:
        fix = "a saved_model.pb is part of a SavedModel: give its folder" if path.name == "saved_model.pb" else None
        raise SourceUnreadable("the file is damaged or no frozen graph", where=path.name, why=str(error), fix=fix) from error
    if not graph.node:
        raise SourceUnreadable("the graph is empty", where=path.name)
    return GraphSource(path.name, graph)


def read_checkpoint(source: Source, prefix: Path) -> GraphSource:
    """Return the graph of a checkpoint's .meta file, with its variables. Errors: SourceUnreadable."""
    import tensorflow as tf

    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default():
            saver = tf.compat.v1.train.import_meta_graph(f"{prefix}.meta", clear_devices=True)
            saver.restore(session, str(prefix))
    except (OSError, ValueError, KeyError, tf.errors.OpError) as error:
        raise SourceUnreadable("the checkpoint cannot be restored", where=prefix.name, why=first_line(error)) from error
    if not source.outputs:
        raise RecipeError("source.outputs: say which tensors the checkpoint's graph is asked for", fix="a training graph has many ends")
    return GraphSource(prefix.name, graph.as_graph_def(), lambda nodes: _frozen(prefix.name, session, nodes))


def read_saved_model(source: Source, path: Path) -> GraphSource:
    """Return the graph of a SavedModel, with the tensors of one signature.

    TensorFlow 1's loader reads both generations, and also those models of old Keras versions on which `tf.saved_model.load` fails
    ("_UserObject has no attribute add_slot").
    Errors: SourceUnreadable; RecipeError for tags or a signature that the model does not have.
    """
    import tensorflow as tf

    meta_graphs = _meta_graphs(path)
    tags = frozenset(source.tags)
    if tags not in meta_graphs:
        known = " or ".join(str(sorted(known)) for known in meta_graphs)
        raise RecipeError(f"source.tags: the SavedModel has no graph with the tags {sorted(tags)}", where=path.name, fix=f"it has {known}")
    inputs, outputs = ({}, {}) if source.outputs else _signature(source, path, meta_graphs[tags])
    graph = tf.Graph()
    session = tf.compat.v1.Session(graph=graph)
    try:
        with graph.as_default():
            tf.compat.v1.saved_model.load(session, sorted(tags), str(path))
    except (OSError, ValueError, KeyError, RuntimeError, tf.errors.OpError) as error:
        raise SourceUnreadable("TensorFlow cannot load the SavedModel", where=path.name, why=first_line(error)) from error
    return GraphSource(path.name, graph.as_graph_def(), lambda nodes: _frozen(path.name, session, nodes), inputs, outputs)


def _meta_graphs(path: Path) -> dict[frozenset[str], Any]:
    """Return the graphs of a SavedModel by their tags."""
    from google.protobuf.message import DecodeError
    from tensorflow.core.protobuf import saved_model_pb2

    file = path / "saved_model.pb"
    if not file.is_file():
        raise SourceUnreadable("the folder is no SavedModel", where=path.name, why="it has no saved_model.pb")
    saved_model = saved_model_pb2.SavedModel()
    try:
        saved_model.ParseFromString(file.read_bytes())
    except DecodeError as error:
        raise SourceUnreadable("the SavedModel is damaged", where=path.name, why=str(error)) from error
    return {frozenset(meta_graph.meta_info_def.tags): meta_graph for meta_graph in saved_model.meta_graphs}


def _signature(source: Source, path: Path, meta_graph: Any) -> tuple[dict[str, str], dict[str, str]]:
    """Return the tensors of the signature that the recipe names, else of `serving_default`, else of the only one."""
    signatures = {name: value for name, value in sorted(meta_graph.signature_def.items()) if not name.startswith("__")}
    chosen = source.signature or ("serving_default" if "serving_default" in signatures else None)
    if chosen is None and len(signatures) == 1:
        chosen = next(iter(signatures))
    if chosen not in signatures:
        what = "source.signature: say which signature" if chosen is None else f"source.signature: the SavedModel has no signature {chosen}"
        if not signatures:
            raise RecipeError(f"{what}; it has none at all", where=path.name, fix="name tensors under `inputs` and `outputs`")
        raise RecipeError(what, where=path.name, fix=f"one of: {', '.join(signatures)}")
    signature = signatures[chosen]
    inputs, outputs = ({name: entry.name for name, entry in sorted(entries.items())} for entries in (signature.inputs, signature.outputs))
    composite = sorted(name for name, tensor in (*inputs.items(), *outputs.items()) if not tensor)
    if composite:
        raise SourceUnreadable(f"signature {chosen} has sparse or ragged tensors", where=path.name, why=", ".join(composite))
    return inputs, outputs


def _frozen(where: str, session: Any, nodes: Sequence[str]) -> Any:
    """Return the part of a session's graph that the nodes need, with constants for its variables."""
    import tensorflow as tf

    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    try:
        with session.graph.as_default():
            return tf.compat.v1.graph_util.convert_variables_to_constants(session, session.graph.as_graph_def(), list(nodes))
    except (AssertionError, ValueError, KeyError, tf.errors.OpError) as error:
        raise SourceUnreadable("the variables of the graph cannot be frozen", where=where, why=first_line(error)) from error
