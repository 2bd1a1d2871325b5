"""Measure models against their operators, and check an installation."""
