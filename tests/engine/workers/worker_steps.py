"""A step for the tests of worker processes: does what its parameter `do` says. Workers import it by name."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from mlpipe.errors import ConversionFailed
from mlpipe.steps.step import StepRequest, StepResult


def run(request: StepRequest) -> StepResult:
    return globals()[request.parameters["do"]](request)


def echo(request: StepRequest) -> StepResult:
    paths = [type(path).__name__ for path in (request.folder, request.output, *request.inputs.values(), *sum(request.files.values(), ()))]
    return StepResult({"parameters": request.parameters, "values": request.values, "paths": paths, "task": request.task}, ("a note",))


def large(_: StepRequest) -> StepResult:
    return StepResult(["x" * 1000] * 20_000)


def not_json(_: StepRequest) -> StepResult:
    return StepResult({"bad": {1, 2}})


def nap(request: StepRequest) -> StepResult:
    start = time.monotonic()
    time.sleep(request.parameters["seconds"])
    return StepResult([start, time.monotonic()])


def count(request: StepRequest) -> StepResult:
    for done in range(5001):
        request.progress(done, 5000, "counting")
    return StepResult()


def noise(_: StepRequest) -> StepResult:
    print("from print")
    print("ünicode", file=sys.stderr)
    ctypes.CDLL(None).puts(b"from C")
    subprocess.run(["sh", "-c", "echo from a child; cat"], check=True)
    return StepResult()


def segfault(_: StepRequest) -> StepResult:
    print("before the crash")
    ctypes.string_at(0)
    return StepResult()


def kill_self(request: StepRequest) -> StepResult:
    os.kill(os.getpid(), signal.Signals[request.parameters["signal"]])
    return StepResult()


def exit_self(request: StepRequest) -> StepResult:
    os._exit(request.parameters["status"])


def exhaust_memory(_: StepRequest) -> StepResult:
    bytearray(400 << 20)
    return StepResult()


def expected(_: StepRequest) -> StepResult:
    raise ConversionFailed("no such op", where="recipe.yaml:3:5", fix="lower it")


def bug(_: StepRequest) -> StepResult:
    raise KeyError("inside")


def fill_disk(_: StepRequest) -> StepResult:
    with Path("/dev/full").open("w") as file:
        file.write("x")
    return StepResult()


def linger(request: StepRequest) -> StepResult:
    """Start a grandchild, say so, and never end."""
    grandchild = subprocess.Popen(["sleep", "600"])
    request.progress(grandchild.pid, 0, "grandchild")
    time.sleep(600)
    return StepResult()


def leave_child(_: StepRequest) -> StepResult:
    return StepResult(subprocess.Popen(["sleep", "600"]).pid)


def call_user_code(request: StepRequest) -> StepResult:
    path = Path(request.folder, request.parameters["file"])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return StepResult(module.run())


def where_am_i(_: StepRequest) -> StepResult:
    threads = Path(f"/proc/{os.getppid()}/task").iterdir()
    return StepResult({"threads_of_server": len(list(threads)), "modules": sorted(name for name in sys.modules if "." not in name)})


def import_others(_: StepRequest) -> StepResult:
    before = set(sys.modules)
    import scipy.sparse
    import sklearn.cluster

    return StepResult({"before": sorted(before), "found": [scipy.__name__, sklearn.__name__, importlib.util.find_spec("tensorflow").name]})


def compute_onnx(_: StepRequest) -> StepResult:
    import numpy as np
    import onnxruntime
    from onnx import TensorProto, helper

    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [2, 2]) for name in "xy"]
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "x"], ["y"])], "g", values[:1], values[1:])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    return StepResult(session.run(None, {"x": np.array([[1, 2], [3, 4]], np.float32)})[0].tolist())


def compute_tensorflow(_: StepRequest) -> StepResult:
    import keras
    import tensorflow as tf

    modules = sorted(name for name in sys.modules if "." not in name)
    x = tf.constant([[1.0, 2.0], [3.0, 4.0]])
    product = tf.function(lambda: x @ x)().numpy().tolist()
    dense = keras.layers.Dense(1, use_bias=False, kernel_initializer="ones")(x).numpy().tolist()
    return StepResult({"product": product, "dense": dense, "modules": modules, "threads": tf.config.threading.get_intra_op_parallelism_threads()})
