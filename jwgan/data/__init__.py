"""Data sets that fit in memory, readers of their files, and streams of those that do not.

`datasets` loads whole data sets, `pictures` and `readers` read the files, `images` has them as
rows, `streams` has the sources that read while the device trains, and `convert` writes pictures as
a TFDS folder.
"""

from jwgan.data.datasets import (
    Dataset,
    checksum,
    digits,
    emoji,
    fashion_mnist,
    folder,
    from_tfds,
    mnist,
    names_of,
    resize,
)
from jwgan.data.errors import DataError
from jwgan.data.readers import tfds_folder

__all__ = [
    "DataError",
    "Dataset",
    "checksum",
    "digits",
    "emoji",
    "fashion_mnist",
    "folder",
    "from_tfds",
    "mnist",
    "names_of",
    "resize",
    "tfds_folder",
]
