"""Makes a data set that TFDS can read of IDX files or a folder of images.

    python -m experiments.convert folder IMAGES --name faces --out tfds_data --image-size 64
    python -m experiments.convert fashion_mnist IDX_FOLDER --out tfds_data
    python -m experiments.wgan_gp --dataset tfds/faces --data-dir tfds_data --stream

What is written, array_record with PNG images, is what TFDS itself prepares and `tfds.data_source`
reads, without TensorFlow. A converted mnist or fashion_mnist carries TFDS's own name and version.
"""

from jwgan.run import convert

if __name__ == "__main__":
    convert.main(doc=__doc__)
