"""A model file and a list of steps to a compressed, checked model file."""

from __future__ import annotations

import dataclasses
import tempfile
from collections.abc import Sequence
from pathlib import Path

from mlpipe.errors import QuantizationFailed
from mlpipe.model_files.read import ModelFile, read_model
from mlpipe.model_files.write import write_canonical
from mlpipe.quantization.float16 import ALREADY_FLOAT16
from mlpipe.quantization.mlprogram import quantize_program
from mlpipe.quantization.neuralnetwork import quantize_networks
from mlpipe.quantization.outcome import Outcome, Progress
from mlpipe.quantization.selfcheck import WeightRecord, check_written, snr_db
from mlpipe.recipe.schema.quantize import QuantizeStep
from mlpipe.weights.inventory import stored_weights


def quantize(model: ModelFile, steps: Sequence[QuantizeStep], output: Path, folder: Path, progress: Progress) -> list[WeightRecord]:
    """Return a record of each weight of the file that is written to `output`, its signal-to-noise ratio against `model`.

    Each step starts from the file of the one before, and each file is decoded and checked.
    Errors: QuantizationFailed where a step changes nothing, the format cannot hold it, or a weight decodes below its bound.
    """
    records: list[WeightRecord] = []
    with tempfile.TemporaryDirectory() as scratch:
        current = model
        for index, step in enumerate(steps):
            what = step.method if step.method == "float16" else f"{step.method} {step.bits} bits"

            def advance(done: float, total: float, name: str, index: int = index, what: str = what) -> None:
                progress(index + done / total, len(steps), f"{what}: {name}")

            last = index == len(steps) - 1
            current, outcomes = _apply(current, step, output if last else Path(scratch) / f"{index}{output.suffix}", folder, advance)
            records = check_written(current, outcomes)
    if len(steps) > 1:
        pairs = zip(records, stored_weights(model), stored_weights(current), strict=True)
        records = [dataclasses.replace(record, snr_db=snr_db(before.values(), after.values())) for record, before, after in pairs]
    progress(len(steps), len(steps), "checked")
    return records


def _apply(model: ModelFile, step: QuantizeStep, output: Path, folder: Path, progress: Progress) -> tuple[ModelFile, list[Outcome]]:
    """Compress what gets smaller by it; where that is nothing, as in a very small model, everything that can be: it was asked for."""
    file, outcomes = _attempt(model, step, output, folder, progress, only_gains=True)
    if file is None:
        file, outcomes = _attempt(model, step, output, folder, progress, only_gains=False)
    assert file is not None, "nothing is left out for want of gain"
    return file, outcomes


def _attempt(
    model: ModelFile, step: QuantizeStep, output: Path, folder: Path, progress: Progress, *, only_gains: bool
) -> tuple[ModelFile | None, list[Outcome]]:
    """Return the written file and its weights; None where only weights that would not get smaller could have been compressed."""
    where = model.path.name  # the folder is the store's or a temporary one, and says nothing to anyone
    spec = type(model.spec)()
    spec.CopyFrom(model.spec)
    with tempfile.TemporaryDirectory() as scratch:
        if model.kind == "mlprogram":
            weights_file = Path(scratch) / "weights" / "weight.bin"
            outcomes = quantize_program(spec, model.weights_folder, step, folder, weights_file, where, progress, only_gains=only_gains)
            weights_folder: Path | None = weights_file.parent
        elif model.kind in ("neuralnetwork", "pipeline"):
            outcomes = quantize_networks(spec, step, folder, where, progress, only_gains=only_gains)
            weights_folder = model.weights_folder
        else:
            raise QuantizationFailed(f"a model of the type {model.kind} has no weights that mlpipe compresses", where=where)
        if all(outcome.skipped is not None for outcome in outcomes) and any(outcome.no_gain for outcome in outcomes):
            return None, outcomes
        _check_changed(outcomes, step, where)
        if all(outcome.skipped is not None for outcome in outcomes):
            weights_folder = model.weights_folder  # nothing to change: the same bytes, not merely the same values
            spec = model.spec
        write_canonical(spec, output, weights_folder)
    return read_model(output), outcomes


def _check_changed(outcomes: Sequence[Outcome], step: QuantizeStep, where: str) -> None:
    """Return if the step compressed something, or had nothing to do because all is float16 already, which the record says weight by weight."""
    if any(outcome.skipped is None for outcome in outcomes):
        return
    if step.method == "float16" and any(outcome.skipped == ALREADY_FLOAT16 for outcome in outcomes):
        return
    reasons = sorted({outcome.skipped for outcome in outcomes if outcome.skipped})
    why = f"each of its {len(outcomes)} weights was left as it was: it " + "; or it ".join(reasons) if outcomes else "it has no weights"
    raise QuantizationFailed(f"{step.method} changed no weight of the model", where=where, why=why)
