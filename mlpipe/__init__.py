"""mlpipe: a build system for Core ML models, with gates that run on Linux."""

__version__ = "0.1.0"
