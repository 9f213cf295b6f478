"""Convert several sources through the steps and print a digest of every file: run by test_same_bytes.py in processes of their own."""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from mlpipe.recipe.schema.convert import Convert
from mlpipe.steps import convert, source
from mlpipe.steps.step import StepRequest

IMAGE = {"image": {"image": {"color": "grayscale", "scale": 0.0625}}}
LABELS = {"class_labels": [f"digit {digit}" for digit in range(10)]}
CONVERSIONS: dict[str, dict[str, Any]] = {
    "network": {"to": "neuralnetwork", "inputs": IMAGE, "classifier": LABELS},
    "float16 program": {"to": "mlprogram", "inputs": IMAGE, "classifier": LABELS, "keep_float32": {"types": ["softmax"]}},
    "float32 program": {"to": "mlprogram", "compute_precision": "float32", "inputs": {"image": {"shape": [{"min": 1, "max": 4}, 8, 8, 1]}}},
}


def digests(recipes: Path) -> dict[str, str]:
    """Return the digest of every file of every artifact, by source, conversion and path."""
    found = {}
    for section, model in (
        ({"keras": "digits.keras"}, recipes / "digits" / "digits.keras"),
        ({"tensorflow": "digits_saved_model"}, recipes / "saved_model" / "digits_saved_model"),
    ):
        for name, declared in CONVERSIONS.items():
            with tempfile.TemporaryDirectory() as folder:
                read, made = Path(folder) / "source", Path(folder) / "made"
                read.mkdir()
                made.mkdir()
                source.run(StepRequest("r:source", {"source": section}, {}, {}, {"model": (model,)}, recipes, read))
                parameters = {"source": section, "convert": Convert.model_validate(declared).model_dump(mode="json", exclude={"metadata"})}
                convert.run(StepRequest("r:convert", parameters, {"source": read}, {}, {}, recipes, made))
                for artifact in (read, made):
                    for path in sorted(artifact.rglob("*")):
                        if path.is_file():
                            key = f"{next(iter(section))} | {name} | {path.relative_to(folder)}"
                            found[key] = hashlib.sha256(path.read_bytes()).hexdigest()
    return found


if __name__ == "__main__":
    print(json.dumps(digests(Path(sys.argv[1]))))
