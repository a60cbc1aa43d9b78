"""Makes a data set that TFDS can read, of a folder of images or of the original archives.

    python -m experiments.convert cifar10                   # downloads it; for experiments.cifar10
    python -m experiments.convert cifar10 cifar-10-binary.tar.gz --out tfds_data
    python -m experiments.convert celeb_a CELEBA_FOLDER --attribute Smiling
    python -m experiments.convert fashion_mnist IDX_FOLDER --out tfds_data
    python -m experiments.convert folder IMAGES --name faces --out tfds_data --image-size 64
    python -m experiments.wgan_gp --dataset tfds/faces --data-dir tfds_data --stream

What is written, array_record with PNG images, is what TFDS itself prepares and `tfds.data_source`
reads, without TensorFlow, with TFDS's own names, versions and class names. Downloads (mnist,
fashion_mnist, cifar10, cifar100, svhn_cropped, stl10) are compared with the published SHA-256; one
that was cut goes on. CelebA's home asks a person: give the folder of its pictures and lists.
"""

from jwgan.run import convert

if __name__ == "__main__":
    convert.main(doc=__doc__)
