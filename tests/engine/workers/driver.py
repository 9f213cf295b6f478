"""A program that runs lingering jobs, for tests that interrupt it. On purpose without `if __name__ == "__main__"`: workers must not run it again."""

from __future__ import annotations

import sys
from pathlib import Path

from mlpipe.engine.workers import Job, WorkerPool

folder, preload, method = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
print("main", flush=True)


def show(task: str, done: float, _total: float, what: str) -> None:
    print(what, task, int(done), flush=True)


try:
    with WorkerPool(2, None, show, method=method) as pool:
        for number in range(2):
            request = {"parameters": {"do": "linger"}, "inputs": {}, "values": {}, "files": {}, "folder": str(folder), "output": str(folder)}
            pool.submit(Job(f"task-{number}", "worker_steps", request, preload, folder / f"{number}.log", None, 0))
        print("submitted", flush=True)
        pool.wait(None)
except KeyboardInterrupt:
    sys.exit(130)
