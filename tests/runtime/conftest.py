"""ML Programs of one operation, built by coremltools, as the runtime's tests need them."""

from __future__ import annotations

import gc
import logging
import os
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mlpipe.runtime import load_model

Arrays = Mapping[str, np.ndarray]
Body = Callable[..., Any]


class Mil:
    """coremltools' builder of ML Programs, without the frameworks that its import would pull in (1 s instead of 6)."""

    def __init__(self) -> None:
        blocked = [name for name in ("tensorflow", "torch") if name not in sys.modules]
        sys.modules.update(dict.fromkeys(blocked))  # type: ignore[arg-type]
        logging.disable(logging.WARNING)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                import coremltools
                from coremltools.converters.mil import Builder
                from coremltools.converters.mil.mil import Function, Program, get_new_symbol, types
        finally:
            logging.disable(logging.NOTSET)
            for name in blocked:
                del sys.modules[name]
        self.ct = coremltools
        self.mb = Builder
        self.types = types
        self.symbol = get_new_symbol
        self._function = Function
        self._program = Program
        self._builtin = {"float32": types.fp32, "float16": types.fp16, "int32": types.int32, "bool": types.bool}

    def save(
        self,
        body: Body,
        feed: Arrays,
        path: Path,
        *,
        opset: str = "iOS17",
        shapes: Mapping[str, tuple[Any, ...]] | None = None,
        states: Mapping[str, tuple[int, ...]] | None = None,
        edit: Callable[[Any], None] | None = None,
        **convert: Any,
    ) -> Path:
        """Return the package of a program with these inputs and float16 states; `body` gets them as variables and the builder first, `edit` the spec."""
        specs = {name: self.mb.state_tensor_placeholder(shape, dtype=self.types.fp16) for name, shape in (states or {}).items()}
        for name, value in feed.items():
            shape = (shapes or {}).get(name, value.shape)
            specs[name] = self.mb.placeholder(shape, dtype=self._builtin[str(value.dtype)])
        target = getattr(self.ct.target, opset)
        program = self._program()
        with self._function(specs, opset_version=target) as function:
            results = body(self.mb, **function.inputs)
            results = list(results) if isinstance(results, list | tuple) else [results]
            if "classifier_config" not in convert:
                results = [self._shown(result, number) for number, result in enumerate(results)]
            function.set_outputs(results)
        program.add_function("main", function)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model = self.ct.convert(
                program,
                convert_to="mlprogram",
                minimum_deployment_target=target,
                skip_model_load=True,
                **{"pass_pipeline": self.ct.PassPipeline.EMPTY, "compute_precision": self.ct.precision.FLOAT32} | convert,
            )
            model.save(str(path))
        if edit is not None:
            file = path / "Data" / "com.apple.CoreML" / "model.mlmodel"
            spec = model.get_spec()
            edit(spec)
            file.write_bytes(spec.SerializeToString())
        return path

    def _shown(self, result: Any, number: int) -> Any:
        """Return an output as a type that a model may have, under a name that is known."""
        if result.dtype in (self.types.fp16, self.types.fp32, self.types.int32):
            return self.mb.identity(x=result, name=f"out{number}")
        return self.mb.cast(x=result, dtype="int32", name=f"out{number}")

    def infer(self, body: Body, inputs: Arrays, *, opset: str = "iOS17") -> list[np.ndarray]:
        """Return what coremltools itself computes for constant inputs."""
        with self._function({}, opset_version=getattr(self.ct.target, opset)):
            results = body(self.mb, **{name: self.mb.const(val=value) for name, value in inputs.items()})
            results = list(results) if isinstance(results, list | tuple) else [results]
            values = [result.val for result in results]
        assert all(value is not None for value in values), "coremltools cannot infer this value"
        return [np.asarray(value) for value in values]


@pytest.fixture(scope="session")
def mil() -> Iterator[Mil]:
    """Return the builder."""
    builder = Mil()
    # coremltools collects all garbage at every conversion; freezing what is imported makes that five times as fast.
    gc.freeze()
    yield builder
    gc.unfreeze()


RunBody = Callable[..., list[np.ndarray]]


@pytest.fixture
def run(mil: Mil, tmp_path: Path) -> RunBody:
    """Return a function that builds a program, loads it and returns its outputs in order."""

    def run_body(body: Body, feed: Arrays, *, precision: str = "float32", opset: str = "iOS17", **options: Any) -> list[np.ndarray]:
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        path = mil.save(body, feed, folder / "model.mlpackage", opset=opset, **options)
        outputs = load_model(path, precision=precision).predict_arrays(feed)
        return [outputs[f"out{number}"] for number in range(len(outputs))]

    return run_body


@pytest.fixture(scope="session")
def models() -> Path:
    """Return the folder of real models; the test does not run where it is absent."""
    folder = Path(os.environ.get("MLPIPE_MODELS") or Path(__file__).parents[2].parent / "shared" / "models")
    if not folder.is_dir():
        pytest.skip("NOT RUN: the real models are absent")
    return folder
