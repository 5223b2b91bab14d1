"""Texts: the plays of tiny Shakespeare, and sentences from film reviews with their sentiment."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from genlab.data.files import FileSet

_SHAKESPEARE = FileSet(
    title="tiny Shakespeare",
    subfolder="tinyshakespeare",
    source="the GitHub repository karpathy/char-rnn, data/tinyshakespeare",
    md5={"input.txt": "6fb458f1232090904fb40fe944165e91"},
)

_RT_POLARITY = FileSet(
    title="rt-polarity",
    subfolder="sentiment",
    source="the Cornell movie-review data, rt-polaritydata, in the GitHub repository "
    "yoonkim/CNN_sentence",
    md5={
        "rt-polarity.pos": "afcc7ff580b3b4df4bdb6528e6558ab5",
        "rt-polarity.neg": "1e35b7f7c5df24a135ca62b8eecded53",
    },
)

_SST2 = FileSet(
    title="SST-2",
    subfolder="sentiment",
    source="the Stanford Sentiment Treebank as in the GitHub repository ZhitingHu/logicnn, "
    "data/raw",
    md5={
        "stsa.binary.train": "fe0d92b0d9638921562e7082e0d6f137",
        "stsa.binary.dev": "b627414c0778ffbe284336ba2a34e518",
        "stsa.binary.test": "797f1305da9a23378a0168a387453dcf",
    },
)


def tiny_shakespeare(folder: str | Path | None = None) -> str:
    """Forty thousand lines of Shakespeare's plays: 1,115,394 characters, 65 different ones.

    The file ``input.txt`` is looked for as :mod:`genlab.data.files` says, in the subfolder
    ``tinyshakespeare``.

    Raises:
        FileNotFoundError: the file is missing.
        ValueError: the file has a wrong checksum.

    References:
        Karpathy (2015), The unreasonable effectiveness of recurrent neural networks.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as empty:
        ...     text = tiny_shakespeare(empty)  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ...
        FileNotFoundError: tiny Shakespeare: input.txt (md5 ...) not found in ...
    """
    return _SHAKESPEARE.read("input.txt", folder).decode("ascii")


@dataclass(frozen=True, eq=False)
class Reviews:
    """Sentences from film reviews.

    Args:
        sentences: one string each, tokens separated by spaces.
        labels: 1 for a favourable sentence, 0 for another, shape (n,), int64.
    """

    sentences: tuple[str, ...]
    labels: Tensor


def movie_reviews(name: str, folder: str | Path | None = None) -> dict[str, Reviews]:
    """Sentences from film reviews with their sentiment, by split.

    ``"rt-polarity"`` has one split, ``"all"``: 5331 favourable sentences, then 5331 others.
    ``"sst2"`` has ``"train"``, ``"dev"`` and ``"test"`` of 6920, 872 and 1821 sentences. The files
    are looked for as :mod:`genlab.data.files` says, in the subfolder ``sentiment``.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: a file has a wrong checksum, or the name is another one.

    References:
        Pang and Lee (2005), Seeing stars (rt-polarity); Socher et al. (2013), Recursive deep
        models for semantic compositionality over a sentiment treebank (SST-2).

    Example:
        >>> movie_reviews("imdb")
        Traceback (most recent call last):
        ...
        ValueError: Expected the name "rt-polarity" or "sst2", got 'imdb'.
    """
    if name == "rt-polarity":
        # The files are in Windows' code page; its byte 0x85 is an ellipsis, not a line break.
        favourable, other = (
            _lines(_RT_POLARITY.read(file, folder).decode("cp1252")) for file in _RT_POLARITY.md5
        )
        labels = torch.tensor([1] * len(favourable) + [0] * len(other))
        return {"all": Reviews((*favourable, *other), labels)}
    if name == "sst2":
        return {
            split: _labelled(_SST2.read(f"stsa.binary.{split}", folder).decode("utf-8"))
            for split in ("train", "dev", "test")
        }
    raise ValueError(f'Expected the name "rt-polarity" or "sst2", got {name!r}.')


def _labelled(text: str) -> Reviews:
    """The reviews in lines of the form ``label sentence``."""
    pairs = [line.split(" ", 1) for line in _lines(text)]
    return Reviews(
        sentences=tuple(sentence for _, sentence in pairs),
        labels=torch.tensor([int(label) for label, _ in pairs]),
    )


def _lines(text: str) -> list[str]:
    r"""The lines of a text, which end in "\n" only (``splitlines`` knows ten other ends)."""
    return text.removesuffix("\n").split("\n")
