"""Baselines that the yardstick compares with and that do not ship."""
