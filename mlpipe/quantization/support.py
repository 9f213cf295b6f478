"""What a model file can hold, checked before anything is compressed."""

from __future__ import annotations

from mlpipe.errors import QuantizationFailed
from mlpipe.recipe.capabilities import (
    DEFAULT_GRANULARITIES,
    DEFAULT_SYMMETRIC,
    FORMAT_NAMES,
    FORMAT_SPECIFICATIONS,
    GRANULARITIES,
    SYMMETRIC_BITS,
    WEIGHT_BITS,
    target_name,
)
from mlpipe.recipe.schema.convert import Target
from mlpipe.recipe.schema.quantize import QuantizeStep


def check_support(container: Target, specification: int, step: QuantizeStep, where: str) -> None:
    """Return if a model of that format and specification version can hold what the step asks for.

    A NeuralNetwork's version is raised where needed (coremltools does so too); an ML Program's says which operations it is made of and stays.
    Errors: QuantizationFailed, whose fix names what can hold it.
    """
    form = FORMAT_NAMES[container]
    version = max(specification, FORMAT_SPECIFICATIONS[container][0]) if container == "neuralnetwork" else specification
    bits = WEIGHT_BITS.get((container, step.method), {})
    wanted = 16 if step.method == "float16" else step.bits
    if wanted not in bits:
        raise QuantizationFailed(f"{form} cannot hold {step.method} weights of {wanted} bits", where=where, fix=f"it holds {_listed(bits)} bits")
    _check_version(f"{step.method} weights of {wanted} bits", bits[wanted], version, where)
    if step.method == "float16":
        return
    granularities = GRANULARITIES[container, step.method]
    granularity = step.granularity or DEFAULT_GRANULARITIES[step.method]
    if granularity not in granularities:
        fix = f"it holds {_listed(granularities)}"
        raise QuantizationFailed(f"{form} cannot hold {step.method} weights {granularity}", where=where, fix=fix)
    _check_version(f"{step.method} weights {granularity}", granularities[granularity], version, where)
    symmetric = DEFAULT_SYMMETRIC[container] if step.symmetric is None else step.symmetric
    if step.method == "linear" and symmetric and step.bits not in SYMMETRIC_BITS[container]:
        fix = f"it holds {_listed(SYMMETRIC_BITS[container])} bits; or set `symmetric: false`"
        raise QuantizationFailed(f"{form} cannot hold symmetric weights of {step.bits} bits", where=where, fix=fix)


def _check_version(what: str, needed: int, version: int, where: str) -> None:
    if version < needed:
        why = f"the model is made for {target_name(version)}"
        fix = f"convert with `minimum_deployment_target: {target_name(needed)}` or later"
        raise QuantizationFailed(f"{what} need {target_name(needed)}", where=where, why=why, fix=fix)


def _listed(names: object) -> str:
    return ", ".join(str(name) for name in names)  # type: ignore[attr-defined]
