"""Converts the Inception network's weights once, so that `measure` can compute FID and KID.

    python -m experiments.convert_weights pt_inception-2015-12-05-6726825d.pth

PyTorch's file is read as data: no program in it runs, PyTorch is not needed, and what is no set of
tensors of this network is refused before anything is written. The result is a safetensors file,
~/.cache/jwgan/inception.safetensors unless --out says otherwise, which carries the checksum of the
file that it comes from. The file itself is on the release pages of pytorch-fid and torch-fidelity.
"""

from jwgan.run import weights

if __name__ == "__main__":
    weights.main(doc=__doc__)
