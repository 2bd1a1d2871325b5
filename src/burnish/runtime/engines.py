"""Which engines there are, as a literal that costs nothing to import."""

# Engine -> the module that starts it.
ENGINES = {
    "onnxruntime": "burnish.runtime.onnx_runtime",
    "openvino": "burnish.runtime.openvino",
}
DEFAULT_ENGINE = "onnxruntime"
