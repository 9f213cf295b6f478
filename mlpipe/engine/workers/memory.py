"""How much memory there is, and whether the kernel killed a process for the lack of it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

_CGROUP = Path("/sys/fs/cgroup")


def total_bytes() -> int:
    """Return the memory that this process may use: the machine's, or its control group's limit."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    try:
        limit = _own_cgroup().joinpath("memory.max").read_text()
    except OSError:
        return machine
    return machine if limit.strip() == "max" else min(machine, int(limit))


def kills() -> int | None:
    """Return how many processes of this control group the kernel has killed for memory so far; None where it does not say."""
    try:
        lines = _own_cgroup().joinpath("memory.events").read_text().splitlines()
    except OSError:
        return None
    counts = dict(line.split() for line in lines)
    return int(counts["oom_kill"]) if "oom_kill" in counts else None


def limit_own(limit_bytes: int) -> None:
    """Let this process allocate `limit_bytes` more than it has, and raise MemoryError beyond. Only Linux enforces it."""
    if sys.platform != "linux":
        return
    # VmData, not the address space: TensorFlow reserves far more addresses than it uses.
    status = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    held = next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmData:"))
    resource.setrlimit(resource.RLIMIT_DATA, (held + limit_bytes, resource.RLIM_INFINITY))


def _own_cgroup() -> Path:
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        if line.startswith("0::"):
            return _CGROUP / line[3:].lstrip("/")
    return _CGROUP
