"""Frames as text that a page can hold: small integers, in base64."""

import base64
from typing import Any

import numpy as np

from experiments.theatre import recording

BINS = 41  # of the histogram of weights
PAGE_BYTES = 3_000_000  # of the whole page
OTHER_BYTES = 250_000  # of the page without its frames, at most
NOTHING = 65535  # a coordinate that is not finite
# Bytes of one frame of one member: see `pack`.
FRAME_BYTES = 4 * recording.POINTS + recording.GRID**2 + 2 * recording.ARROWS**2 + 2 * BINS


def most_frames(members: int) -> int:
    """Computes how many frames of so many members fit into a page: base64 is 4 bytes for 3."""
    return (PAGE_BYTES - OTHER_BYTES) * 3 // (4 * FRAME_BYTES * members)


def text(values: np.ndarray) -> str:
    """Writes an array's bytes as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def coordinates(points: np.ndarray, half: float) -> np.ndarray:
    """Rounds points in [-half, half] to uint16 0 to 65534; those beyond are put on the edge.

    >>> coordinates(np.array([-2.0, 0.0, 9.0, np.nan]), 2.0).tolist()
    [0, 32767, 65534, 65535]
    """
    scaled = np.rint((np.clip(points, -half, half) / half + 1) * ((NOTHING - 1) / 2))
    return np.where(np.isfinite(points), scaled, NOTHING).astype("<u2")


def levels(heights: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rounds the heights of each frame to 0 to 255 between its lowest and its highest.

    Args:
      heights: [F, G, G].

    Returns:
      (uint8 [F, G, G], lowest [F], highest [F]); all 0 in a frame that is not finite.
    """
    finite = np.isfinite(heights).all(axis=(1, 2), keepdims=True)
    known = np.where(finite, heights, 0.0).astype(np.float64)
    low, high = known.min(axis=(1, 2)), known.max(axis=(1, 2))
    span = np.where(high > low, high - low, 1.0)[:, None, None]
    scaled = np.rint((known - low[:, None, None]) / span * 255)
    return scaled.astype(np.uint8), low, high


def directions(arrows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rounds the arrows of each frame to -127 to 127 of its longest one.

    Args:
      arrows: [F, A, A, 2].

    Returns:
      (int8 [F, A, A, 2], the longest arrow's length [F]).
    """
    known = np.where(np.isfinite(arrows), arrows, 0.0).astype(np.float64)
    longest = np.linalg.norm(known, axis=-1).max(axis=(1, 2))
    scale = np.where(longest > 0, longest, 1.0)[:, None, None, None]
    return np.rint(known / scale * 127).astype(np.int8), longest


def histograms(weights: np.ndarray) -> tuple[np.ndarray, float]:
    """Counts the weights of each frame in BINS bins over what all frames reach.

    Args:
      weights: [F, W].

    Returns:
      (uint16 [F, BINS], the bin's share of the weights in parts of 65535; the last bin's edge: the
      bins divide [-edge, edge] evenly).
    """
    known = np.where(np.isfinite(weights), weights, 0.0)
    edge = float(np.abs(known).max()) or 1.0
    # By hand, and not by np.histogram: a weight at the very edge must be in the last bin although
    # its float32 may be a rounding beyond it.
    place = np.clip(np.floor((known / edge + 1) / 2 * BINS), 0, BINS - 1).astype(int)
    counts = np.stack([np.bincount(row, minlength=BINS) for row in place])
    shares = np.rint(counts / weights.shape[1] * 65535)
    return shares.astype("<u2"), edge


def pack(name: str, frames: recording.Frames, half: float) -> dict[str, Any]:
    """Writes a member's frames as what the page's program reads."""
    heights, low, high = levels(frames.heights)
    arrows, longest = directions(frames.arrows)
    bins, edge = histograms(frames.weights)
    short = lambda values: [float(f"{value:.4g}") for value in values]
    return {
        "name": name,
        "samples": text(coordinates(frames.samples, half)),
        "heights": text(heights),
        "low": short(low),
        "high": short(high),
        "arrows": text(arrows),
        "longest": short(longest),
        "bins": text(bins),
        "edge": float(f"{edge:.4g}"),
        "numbers": frames.numbers,
    }
