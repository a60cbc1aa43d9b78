"""Estimates of paper-scale runs."""
