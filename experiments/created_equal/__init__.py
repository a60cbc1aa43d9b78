"""The same search for every member: see `__main__`."""
