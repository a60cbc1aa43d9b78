"""KL, JS and W1 between two Gaussians that move apart."""
