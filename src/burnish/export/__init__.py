"""Write a trained network as an ONNX model file: fold, quantise, export, verify."""
