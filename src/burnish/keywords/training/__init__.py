"""Training of keyword models: features of photos, graphs, heads, and their comparison."""
