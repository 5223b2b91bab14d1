"""Texts as sequences of symbols, and a grammar of which all probabilities are known."""

from pydoc_data.topics import topics

import torch
from torch import Tensor

from genlab.em import HiddenMarkovModel
from genlab.em.kmeans import count

__all__ = ["Alphabet", "brackets", "python_topics"]


class Alphabet:
    """The different characters of a text, in order; characters to symbols and back.

    Args:
        text: each of its characters becomes one of the symbols 0, 1, …

    Attributes:
        characters: all of them, in a string; the symbol of a character is its place there.

    Raises:
        ValueError: no text; a character that is not in the alphabet; a symbol that has none.

    Example:
        >>> alphabet = Alphabet("a rose is a rose")
        >>> alphabet.encode("rosa")
        tensor([5, 4, 6, 1])
        >>> alphabet.decode([5, 4, 6, 1])
        'rosa'
        >>> alphabet.encode("Rosa")
        Traceback (most recent call last):
        ...
        ValueError: Expected the 7 characters ' aeiors', got 'R' first at place 0. Build the \
alphabet of all texts together, or leave out what is not in alphabet.characters.
    """

    def __init__(self, text: str) -> None:
        if not text:
            raise ValueError("Expected a text of one character or more, got none.")
        self.characters = "".join(sorted(set(text)))
        self._symbols = {character: i for i, character in enumerate(self.characters)}

    def __len__(self) -> int:
        return len(self.characters)

    def encode(self, text: str) -> Tensor:
        """The symbols of a text, int64 ``[T]``; windows of it are ``symbols.unfold(0, 64, 64)``."""
        try:
            return torch.tensor([self._symbols[c] for c in text], dtype=torch.long)
        except KeyError as error:
            (unknown,) = error.args
            raise ValueError(
                f"Expected the {len(self)} characters {self.characters!r}, got {unknown!r} first "
                f"at place {text.index(unknown)}. Build the alphabet of all texts together, or "
                "leave out what is not in alphabet.characters."
            ) from None

    def decode(self, symbols: Tensor) -> str:
        """The text of a row of symbols ``[T]``."""
        symbols = torch.as_tensor(symbols)
        known = (symbols >= 0) & (symbols < len(self)) & (symbols == symbols.long())
        if symbols.ndim != 1 or not known.all():
            raise ValueError(
                f"Expected a row of symbols 0 to {len(self) - 1}, got shape {tuple(symbols.shape)} "
                f"with {int((~known).sum())} other numbers. A text is one row: decode(x[0])."
            )
        return "".join(self.characters[int(symbol)] for symbol in symbols)


def python_topics() -> str:
    """What ``help("for")`` and the like print: the documentation that comes with Python.

    The topics in alphabetical order, and of paragraphs that stand in several only the first: else
    a text held out would have been read in training. About 380,000 characters, 100 different ones;
    another version of Python has another text.

    Source: Python Software Foundation, The Python language reference (PSF licence), as stored in
        the standard library's ``pydoc_data.topics``.

    Example:
        >>> python_topics()[:22]
        'The "assert" statement'
    """
    paragraphs = (p.strip("\n") for name in sorted(topics) for p in topics[name].split("\n\n"))
    return "\n\n".join(dict.fromkeys(paragraphs))


def brackets(depth: int, length: int) -> HiddenMarkovModel:
    """Brackets that open (0) and close (1) and never nest deeper: a grammar with known entropy.

    At depth 0 the next one opens, at the greatest depth it closes, between these both are as
    probable. So (1 − 1/depth) log 2 nats a symbol are new in the long run. Who has read all symbols
    knows the depth; who sees the last k of them may not, however large k is.

    Args:
        depth: the greatest, 1 or more.
        length: of a sequence.

    Returns:
        the law of sequences that begin at depth 0, as a hidden Markov model whose state is the
        depth and the last symbol.

    Example:
        >>> law = brackets(depth=2, length=4)
        >>> law.log_prob(torch.tensor([[0, 0, 1, 1], [0, 1, 1, 0]])).exp()
        tensor([0.2500, 0.0000], dtype=torch.float64)
    """
    # States 0 … D − 1: depths 1 … D after "("; D … 2D − 1: depths 0 … D − 1 after ")".
    D = count(depth, "depth")
    depths = torch.cat([torch.arange(1, D + 1), torch.arange(D)])
    emission = torch.eye(2, dtype=torch.float64).repeat_interleave(D, 0)
    transition = torch.zeros(2 * D, 2 * D, dtype=torch.float64)
    for state, now in enumerate(depths.tolist()):
        if now < D:
            transition[state, now] = 1.0 if now == 0 else 0.5
        if now > 0:
            transition[state, D + now - 1] = 1.0 if now == D else 0.5
    return HiddenMarkovModel(
        2 * D,
        2,
        initial=torch.eye(2 * D)[0],
        transition=transition,
        emission=emission,
        length=length,
    )
