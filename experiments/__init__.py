"""Experiments: one flat module each, run as `python -m experiments.NAME`."""
