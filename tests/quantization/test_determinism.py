from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

PROGRAM = """
import json, sys
from pathlib import Path
from mlpipe.model_files.read import read_model
from mlpipe.quantization.quantize import quantize
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.steps.step import no_progress

models, output, variants = Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3])
for file, variant, step in variants:
    source = read_model(models / file)
    quantize(source, [QuantizeStep(**step)], output / variant / file, models, no_progress)
assert not [name for name in sys.modules if name.startswith(("tensorflow", "torch")) or name == "coremltools"]
"""

LINEAR4, KMEANS4 = {"method": "linear", "bits": 4}, {"method": "kmeans", "bits": 4}
BLOCKS, GROUPS = {"granularity": "per_block", "block_size": 8}, {"granularity": "per_grouped_channel", "group_size": 4}
LUT = {"method": "lut", "bits": 3, "function": "tables.py:spaced"}
VARIANTS = [
    *(("network.mlmodel", str(index), step) for index, step in enumerate(({"method": "float16"}, LINEAR4, KMEANS4, LUT))),
    *(("program_ios16.mlpackage", str(index), step) for index, step in enumerate(({"method": "linear", "bits": 8}, KMEANS4, {"method": "float16"}))),
    ("program_ios16_fp32.mlpackage", "0", {"method": "float16"}),
    *(("program_ios18.mlpackage", str(index), step) for index, step in enumerate((LINEAR4, LINEAR4 | BLOCKS, KMEANS4 | GROUPS, LUT))),
]


def digests(folder):
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_quantizer_gives_the_same_bytes_in_two_processes_with_other_hash_seeds(models, tmp_path):
    (models / "tables.py").write_text(
        "import numpy as np\n\ndef spaced(weights, bits, name):\n    return np.linspace(weights.min(), weights.max(), 2 ** bits)\n", encoding="utf-8"
    )
    results = []
    for seed, threads in (("1", "1"), ("4242", "4")):
        output = tmp_path / seed
        environment = {**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": threads, "OPENBLAS_NUM_THREADS": threads}
        subprocess.run([sys.executable, "-c", PROGRAM, str(models), str(output), json.dumps(VARIANTS)], check=True, env=environment)
        results.append(digests(output))
    assert results[0] == results[1]
    assert len({name.split("/")[0] + name.split("/")[1] for name in results[0]}) == len(VARIANTS)
