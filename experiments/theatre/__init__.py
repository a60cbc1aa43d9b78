"""Members trained side by side, as a page that plays the training."""
