"""Sentences as numbers, and beneath each its clause after "but"."""

from collections.abc import Iterable

import torch
from torch import Tensor

__all__ = ["NOTHING", "Vocabulary"]

NOTHING, UNKNOWN = 0, 1


class Vocabulary:
    """Words as numbers: 0 fills up, 1 is a word that was not seen.

    Example:
        >>> vocabulary = Vocabulary(["a warm film", "dull but warm"])
        >>> vocabulary.encode(["dull but a cold warm film"]).tolist()
        [[[4, 3, 2, 1, 6, 5], [2, 1, 6, 5, 0, 0]]]
    """

    def __init__(self, sentences: Iterable[str]) -> None:
        words = sorted({word for sentence in sentences for word in sentence.split()})
        self.number = {word: i + 2 for i, word in enumerate(words)}

    def __len__(self) -> int:
        return len(self.number) + 2

    def encode(self, sentences: Iterable[str]) -> Tensor:
        """Each sentence, and beneath it its clause after the last "but", ``[n, 2, length]``.

        The second row is 0 where there is no "but", or nothing after it.

        Raises:
            ValueError: no sentences.
        """
        rows = [[s.split(), _after_but(s.split())] for s in sentences]
        if not rows:
            raise ValueError("Expected one sentence or more, got none.")
        x = torch.zeros(len(rows), 2, max(1, *(len(pair[0]) for pair in rows)), dtype=torch.long)
        for i, pair in enumerate(rows):
            for j, words in enumerate(pair):
                numbers = [self.number.get(word, UNKNOWN) for word in words]
                x[i, j, : len(words)] = torch.tensor(numbers, dtype=torch.long)
        return x


def _after_but(words: list[str]) -> list[str]:
    if "but" not in words[1:]:
        return []
    return words[len(words) - words[::-1].index("but") :]
