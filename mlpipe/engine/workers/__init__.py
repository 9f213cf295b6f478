"""Worker processes: every heavy step runs in a process of its own, forked from one that has imported its frameworks."""

from mlpipe.engine.workers.job import Job, JobOutcome
from mlpipe.engine.workers.pool import WorkerPool

__all__ = ["Job", "JobOutcome", "WorkerPool"]
