"""Speed side by side."""
