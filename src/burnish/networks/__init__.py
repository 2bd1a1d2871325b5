"""The networks that can be trained, as torch modules."""
