"""Stage 5: card + graph = one ONNX file; export and verify, read and validate."""
