"""coremltools' test suite with mlpipe's runtime as its predictor; a pytest plugin that is loaded in a process of its own."""
