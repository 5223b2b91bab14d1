"""Images of digits and clothes, each set with its usual division into training and test images."""

import gzip
import http.client
import math
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from genlab.data.files import FileSet, cache_folder


@dataclass(frozen=True, eq=False)
class Images:
    """Grey images with their classes.

    Args:
        train, test: images with values in [0, 1], shape (n, 1, height, width), float32.
        train_labels, test_labels: classes 0 to 9, shape (n,), int64.
    """

    train: Tensor
    train_labels: Tensor
    test: Tensor
    test_labels: Tensor


def digits() -> Images:
    """The 1797 handwritten digits of 8 x 8 pixels that come with scikit-learn.

    Grey values 0 to 16 are divided by 16. The digits are sorted by class, in file order within a
    class, and every fifth goes to the test set: 1437 and 360 images with the same classes in the
    same proportions. The same writers are in both, so both are draws of one p_data.

    References:
        Alpaydin and Kaynak (1998), Optical recognition of handwritten digits, UCI.

    Example:
        >>> data = digits()
        >>> data.train.shape, data.test.shape
        (torch.Size([1437, 1, 8, 8]), torch.Size([360, 1, 8, 8]))
    """
    from sklearn.datasets import load_digits  # here, as importing it takes a second

    bunch = load_digits()
    images = torch.from_numpy(bunch.images).float()[:, None] / 16
    labels = torch.from_numpy(bunch.target).long()
    test = torch.zeros(len(labels), dtype=torch.bool)
    test[labels.argsort(stable=True)[::5]] = True
    return Images(images[~test], labels[~test], images[test], labels[test])


def mnist(folder: str | Path | None = None) -> Images:
    """MNIST: 60,000 training and 10,000 test images of handwritten digits, 28 x 28 pixels.

    Grey values 0 to 255 are divided by 255. The four files ``*-ubyte.gz`` are looked for as
    :mod:`genlab.data.files` says, in the subfolder ``mnist``; without ``folder`` what is missing
    is downloaded into the cache.

    Raises:
        FileNotFoundError: a file is missing, and cannot be downloaded.
        ValueError: a file has a wrong checksum.

    References:
        LeCun, Bottou, Bengio and Haffner (1998), Gradient-based learning applied to document
        recognition.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     data = mnist(empty)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        FileNotFoundError: MNIST: train-images-idx3-ubyte.gz (md5 ...) not found in ...
    """
    from torchvision.datasets import MNIST  # here, as importing torchvision takes seconds

    return _idx_images(MNIST, "MNIST", "mnist", "the GitHub repository fgnt/mnist", folder)


def fashion_mnist(folder: str | Path | None = None) -> Images:
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothes, 28 x 28 pixels.

    Everything else is as in :func:`mnist`; the subfolder is ``fashion_mnist``.

    Raises:
        FileNotFoundError: a file is missing, and cannot be downloaded.
        ValueError: a file has a wrong checksum.

    References:
        Xiao, Rasul and Vollgraf (2017), arXiv 1708.07747.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     data = fashion_mnist(empty)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        FileNotFoundError: Fashion-MNIST: train-images-idx3-ubyte.gz (md5 ...) not found in ...
    """
    from torchvision.datasets import FashionMNIST

    source = "the GitHub repository zalandoresearch/fashion-mnist, data/fashion"
    return _idx_images(FashionMNIST, "Fashion-MNIST", "fashion_mnist", source, folder)


def _idx_images(
    dataset: type, title: str, subfolder: str, source: str, folder: str | Path | None
) -> Images:
    """The four idx files of a torchvision data set, which knows their checksums."""
    files = FileSet(title, subfolder, source, dict(dataset.resources))
    absent = [name for name in files.md5 if files.find(name, folder) is None]
    if absent and folder is not None:
        raise files.missing(absent, folder)
    if absent:
        try:
            _download(dataset, files)
        except (RuntimeError, OSError, http.client.HTTPException) as error:
            reason = f", and their download failed ({' '.join(str(error).split())})"
            raise files.missing(absent, folder, reason) from error
    arrays = {name: read_idx(gzip.decompress(files.read(name, folder))) for name in files.md5}

    def images(part: str) -> Tensor:
        return arrays[f"{part}-images-idx3-ubyte.gz"][:, None].float() / 255

    def labels(part: str) -> Tensor:
        return arrays[f"{part}-labels-idx1-ubyte.gz"].long()

    return Images(images("train"), labels("train"), images("t10k"), labels("t10k"))


def _download(dataset: type, files: FileSet) -> None:
    """Let torchvision download and check all files, then move them into the cache, each whole."""
    cache = cache_folder()
    (cache / files.subfolder).mkdir(parents=True, exist_ok=True)
    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(30)  # torchvision sets none: behind a firewall it would wait for ever
    try:
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            raw = Path(dataset(root=scratch, download=True).raw_folder)
            for name in files.md5:
                (raw / name).replace(cache / files.subfolder / name)
    finally:
        socket.setdefaulttimeout(patience)


def read_idx(data: bytes) -> Tensor:
    r"""The array in the bytes of an idx file of unsigned bytes.

    The format: two zero bytes, the type 8, the number of axes, the big-endian length of each axis
    in four bytes, the values. (torchvision's reader wants an unpacked file on disk instead.)

    Returns:
        uint8 tensor.

    Raises:
        ValueError: another format, or too few or too many values.

    Example:
        >>> read_idx(b"\0\0\x08\x02" b"\0\0\0\1" b"\0\0\0\3" b"\7\x08\x09")
        tensor([[7, 8, 9]], dtype=torch.uint8)
    """
    if data[:3] != b"\0\0\x08" or len(data) < 4 + 4 * data[3]:
        raise ValueError(f"Expected an idx file of unsigned bytes, got one that begins {data[:4]}.")
    start = 4 + 4 * data[3]
    shape = np.frombuffer(data[4:start], dtype=">u4").tolist()
    if len(data) - start != math.prod(shape):
        raise ValueError(
            f"Expected the values of an idx array of shape {tuple(shape)}, got {len(data) - start}."
        )
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(shape).copy())
