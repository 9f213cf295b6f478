"""Names of the suite's tests: the same on every machine."""

from __future__ import annotations

import hashlib
import re
from typing import Any

PACKAGE = "coremltools"


def test_id(item: Any) -> str:
    """Return `module::class::test[parameters]`, without the folder that coremltools is installed in."""
    path, _, rest = item.nodeid.partition("::")
    parts = path.removesuffix(".py").split("/")
    inside = parts[len(parts) - 1 - parts[::-1].index(PACKAGE) + 1 :] if PACKAGE in parts else parts
    return ".".join(inside) + "::" + rest


test_id.__test__ = False  # type: ignore[attr-defined]


def _number(name: str) -> int:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")


def seed(name: str) -> int:
    """Return the seed of a test."""
    return _number("seed " + name)


def in_shard(name: str, shard: str) -> bool:
    """Return whether a test belongs to the shard `i/n`."""
    index, count = map(int, shard.split("/"))
    return _number(name) % count == index


def sample(items: list[Any], count: int) -> list[Any]:
    """Return at most so many items of every test function, in their order."""
    by_function: dict[str, list[Any]] = {}
    for item in sorted(items, key=lambda item: _number(test_id(item))):
        by_function.setdefault(test_id(item).partition("[")[0], []).append(item)
    chosen = {id(item) for same in by_function.values() for item in same[:count]}
    return [item for item in items if id(item) in chosen]


def without_addresses(text: str) -> str:
    """Return the text of a parameter without what changes from run to run."""
    return re.sub(r" at 0x[0-9a-f]+", "", text)


def readable(value: Any) -> str | None:
    """Return the name of a backend among a test's parameters, None for every other value."""
    if type(value).__name__ == "BackendConfig":
        return f"{value.backend}-{value.precision}-{value.opset_version.name}"
    if isinstance(value, tuple) and len(value) == 2 and value[0] in ("mlprogram", "neuralnetwork"):
        return "-".join(value)
    return None


def backend_name(item: Any) -> str:
    """Return `mlprogram` or `neuralnetwork`: what the test's parameters name, mlprogram where they name neither."""
    parameters = item.callspec.params.values() if hasattr(item, "callspec") else ()
    for value in parameters:
        name = readable(value)
        if name:
            return name.split("-")[0]
        if value in ("mlprogram", "neuralnetwork") if isinstance(value, str) else False:
            return value
    return "mlprogram"
