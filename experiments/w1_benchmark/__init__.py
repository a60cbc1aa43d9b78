"""Critics graded where W1 is known."""
