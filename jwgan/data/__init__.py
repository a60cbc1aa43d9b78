"""Data sets that fit in memory, readers of their files, and streams of those that do not.

`datasets` holds what is loaded whole, `readers` the file formats, `streams` the sources that read
while the device trains, `convert` the way from pictures to a TFDS folder.
"""

from jwgan.data.datasets import (
    Dataset,
    checksum,
    digits,
    fashion_mnist,
    folder,
    from_tfds,
    mnist,
    resize,
    tfds_folder,
)
from jwgan.data.readers import DataError

__all__ = [
    "DataError",
    "Dataset",
    "checksum",
    "digits",
    "fashion_mnist",
    "folder",
    "from_tfds",
    "mnist",
    "resize",
    "tfds_folder",
]
