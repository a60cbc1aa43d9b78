"""Exports for platforms that are not here."""
