"""Public photo collections, converted from their official layouts to training and test folders."""
