"""Small `.mlmodel` files of every kind, as protobuf's JSON: python models.py FOLDER writes them, and what each is fed."""

from __future__ import annotations

import base64
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
from google.protobuf.json_format import ParseDict

from mlpipe.model_files.protobuf import model_pb2

RANDOM = np.random.default_rng(0)
Fields = dict[str, Any]


def array(*shape: int, kind: str = "FLOAT32") -> Fields:
    """Return the type of an array."""
    return {"multiArrayType": {"shape": list(shape), "dataType": kind}}


NUMBER: Fields = {"doubleType": {}}
TEXT: Fields = {"stringType": {}}
WHOLE: Fields = {"int64Type": {}}
SHARES: Fields = {"dictionaryType": {"stringKeyType": {}}}


def model(parameters: Fields, inputs: Fields, outputs: Fields, **description: Any) -> Fields:
    """Return a model of one kind: what it is, and its interface."""
    described = {key: [{"name": name, "type": kind} for name, kind in features.items()] for key, features in (("input", inputs), ("output", outputs))}
    return {"specificationVersion": 5, "description": {**described, **description}, **parameters}


def weights(*shape: int) -> Fields:
    """Return float32 weights."""
    return {"floatValue": (RANDOM.standard_normal(int(np.prod(shape))) * 0.3).astype(np.float32).tolist()}


def halves(*shape: int) -> Fields:
    """Return float16 weights."""
    return {"float16Value": _bytes(RANDOM.standard_normal(int(np.prod(shape))).astype(np.float16))}


def levels(count: int, **quantization: Any) -> Fields:
    """Return quantized weights of 8 bits."""
    return {"rawValue": _bytes(RANDOM.integers(0, 4, count).astype(np.uint8)), "quantization": {"numberOfBits": 8, **quantization}}


def _bytes(values: np.ndarray) -> str:
    return base64.b64encode(values.tobytes()).decode()


def borders(low: int, high: int) -> Fields:
    """Return amounts of two axes."""
    return {"borderAmounts": [{"startEdgeSize": low, "endEdgeSize": high}] * 2}


def chain(*steps: tuple[str, Fields], first: str = "x") -> list[Fields]:
    """Return layers each of which reads the one before."""
    names = [first, *(f"{kind}_{number}" for number, (kind, _) in enumerate(steps))]
    return [{"name": names[n + 1], "input": [names[n]], "output": [names[n + 1]], kind: fields} for n, (kind, fields) in enumerate(steps)]


def layer(kind: str, reads: list[str], makes: list[str], **fields: Any) -> Fields:
    """Return one layer."""
    return {"name": f"{kind} {' '.join(makes)}", "input": reads, "output": makes, kind: fields}


def network(layers: list[Fields], shape: list[int], outputs: list[str], *, legacy: bool = False, kind: str = "neuralNetwork", **more: Any) -> Fields:
    """Return a network of one array."""
    mapping = {} if legacy else {"arrayInputShapeMapping": "EXACT_ARRAY_MAPPING", "imageInputShapeMapping": "RANK4_IMAGE_MAPPING"}
    return model({kind: {"layers": layers, **mapping, **more}}, {"x": array(*shape)}, {name: array() for name in outputs})


def main() -> None:
    """Write every model into the folder that is named, and what it is fed beside it."""
    from classic_models import MODELS
    from networks import NETWORKS

    folder = Path(sys.argv[1])
    for name, (fields, fed) in {**NETWORKS, **MODELS}.items():
        spec = ParseDict(fields, model_pb2().Model())
        (folder / f"{name}.mlmodel").write_bytes(spec.SerializeToString(deterministic=True))
        (folder / f"{name}.pickle").write_bytes(pickle.dumps(fed))


if __name__ == "__main__":
    main()
