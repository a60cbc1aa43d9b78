"""How time and memory of a step grow."""
