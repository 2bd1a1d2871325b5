"""The model file: a card and a graph in one ONNX file, read and checked without torch."""
