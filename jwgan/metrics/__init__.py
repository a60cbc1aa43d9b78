"""Pure functions on arrays, real [N, F] and fake [M, F], that say how good the samples are."""
