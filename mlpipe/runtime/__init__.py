"""Core ML models executed anywhere, on ONNX Runtime."""

from mlpipe.runtime.lowered import Unsupported
from mlpipe.runtime.model import RuntimeModel, load_model, open_model
from mlpipe.runtime.overflow import find_overflows, what_overflows
from mlpipe.runtime.precision import Precision

__all__ = ["Precision", "RuntimeModel", "Unsupported", "find_overflows", "load_model", "open_model", "what_overflows"]
