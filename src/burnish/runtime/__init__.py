"""Stage 6: run a model file on an array: which model, which device, exact tiles."""
