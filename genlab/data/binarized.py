"""Statically binarised MNIST, the common ground for comparing log-likelihoods."""

import io
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.data.files import FileSet, unpacked

_FILES = FileSet(
    title="Binarised MNIST",
    subfolder="binarized_mnist",
    source="the GitHub repository mingzhang-yin/ARM-gradient (where it is named .amat)",
    md5={
        "binarized_mnist_train.mat": "4e26f7a5b466cfcde0fa4876fa4b60a6",
        "binarized_mnist_valid.mat": "3c8c0bae400a11eda4c6caf6642d7d34",
        "binarized_mnist_test.mat": "3478bd31ef84368bf30234a011d886fa",
    },
)


@dataclass(frozen=True, eq=False)
class BinaryImages:
    """Images of zeros and ones.

    Args:
        train, valid, test: pixels 0 or 1, shape (n, 1, 28, 28), uint8.
    """

    train: Tensor
    valid: Tensor
    test: Tensor


def binarized_mnist(folder: str | Path | None = None) -> BinaryImages:
    """MNIST with each pixel drawn once, as 0 or 1, with its grey value as the probability of 1.

    There are 50,000 training, 10,000 validation and 10,000 test images. The files
    ``binarized_mnist_{train,valid,test}`` are looked for as :mod:`genlab.data.files` says, in the
    subfolder ``binarized_mnist``: MATLAB files named ``.mat`` or ``.amat``, or text files named
    ``.amat``. The text files, the original form, have no checksum here; their shape and values
    are checked.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file has a wrong checksum, or a text file a wrong shape or value.

    References:
        Salakhutdinov and Murray (2008), On the quantitative analysis of deep belief networks;
        Larochelle and Murray (2011), The neural autoregressive distribution estimator.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     data = binarized_mnist(empty)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        FileNotFoundError: Binarised MNIST: binarized_mnist_train.mat (md5 ...) not found in ...
    """
    return BinaryImages(
        train=_read("train", 50_000, folder),
        valid=_read("valid", 10_000, folder),
        test=_read("test", 10_000, folder),
    )


def _read(split: str, n: int, folder: str | Path | None) -> Tensor:
    """The ``n`` images of one split, in whichever form they are there."""
    mat, amat = f"binarized_mnist_{split}.mat", f"binarized_mnist_{split}.amat"
    name = mat if _FILES.find(mat, folder) else amat
    path = _FILES.find(name, folder)
    if path is None:
        raise _FILES.missing([mat], folder)
    data = unpacked(path, name)
    # The repository named above calls its MATLAB files .amat, so the bytes decide.
    if name == mat or data.startswith(b"MATLAB"):
        from scipy.io import loadmat  # here, as it is not needed for the text form

        x = torch.from_numpy(loadmat(io.BytesIO(_FILES.verified(mat, path, data)))["X"])
    else:
        x = read_amat(data)
    if x.shape != (n, 28 * 28):
        raise ValueError(
            f"Expected {n} rows of 784 pixels in {path}, got shape {tuple(x.shape)}: replace it "
            "by the original."
        )
    return x.reshape(n, 1, 28, 28)


def read_amat(data: bytes) -> Tensor:
    r"""The rows of a text file of zeros and ones with white space between them.

    Returns:
        uint8 tensor, shape (rows, columns).

    Raises:
        ValueError: an entry that is neither 0 nor 1, or rows of different length.

    Example:
        >>> read_amat(b"0 1 1\n1 0 0\n")
        tensor([[0, 1, 1],
                [1, 0, 0]], dtype=torch.uint8)
    """
    rows: list[bytes] = []
    for number, line in enumerate(data.splitlines(), start=1):
        bits = line.split()
        if not bits or not set(bits) <= {b"0", b"1"}:
            raise ValueError(f"Expected zeros and ones in line {number}, got {line[:40]!r}.")
        rows.append(b"".join(bits))
        if len(rows[-1]) != len(rows[0]):
            raise ValueError(
                f"Expected {len(rows[0])} values in line {number} as in line 1, got {len(bits)}."
            )
    if not rows:
        raise ValueError("Expected rows of zeros and ones, got an empty text.")
    x = np.frombuffer(b"".join(rows), np.uint8).reshape(len(rows), -1)
    return torch.from_numpy(x - ord("0"))
