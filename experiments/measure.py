"""Measures a run, a folder or a file of pictures: by itself, or beside others as papers do.

    python -m experiments.measure RUN_DIR
    python -m experiments.measure RUN_DIR --trial 3 --json      # of a run with --seeds or --sweep
    python -m experiments.measure RUN_DIR --space auto          # its samples, its training data
    python -m experiments.measure SAMPLES.npy --against fashion_mnist    # mnist, digits, tfds/NAME
    python -m experiments.measure FOLDER --against FOLDER --space inception --weights FILE.pth

Without --against and --space metrics are those that a run measures itself: quality as at its end,
W1 as with --w1-every, of the newest whole checkpoint. With one of them two sets of pictures, each a
run, a folder, an .npy or .npz file or a data set, are compared in a feature space: Frechet and
kernel distance, precision, recall, density and coverage, and a score where the space has classes.
They are called FID, KID and Inception score only with the published weights of the Inception
network, which you bring (`experiments.convert_weights` keeps them); without them a space that is
there is used and named. Class folders on both sides bring distances within each class. The result,
one JSON object, states the protocol: counts, resizing, the weights' checksum.
"""

from experiments import sample
from jwgan.run import measure

if __name__ == "__main__":
    measure.main(sample.find, doc=__doc__)
