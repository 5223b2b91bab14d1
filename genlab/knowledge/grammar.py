"""Film reviews of a made-up reviewer: sentences whose true sentiment law is known.

A clause has a sentiment, and its words agree with it more often than not. In "A but B" the sentence
has the sentiment of B, and A mostly the other. So the law of the label given the sentence is a
formula, and no reader can be more often right than the one who knows it.
"""

import math

import torch
from torch import Generator, Tensor

from genlab.data import Reviews
from genlab.em.kmeans import count

__all__ = ["Reviewer"]

GOOD = "brilliant charming clever delightful fresh funny gripping lovely moving superb warm witty"
BAD = "awful bland boring clumsy dull flat hollow lazy messy shallow stale tedious"
NEUTRAL = "actor camera director ending film music plot scene screen script story voice"


class Reviewer:
    """A grammar of sentences, with and without "but".

    Args:
        but: the share of sentences "A but B".
        agree: how often a word of feeling agrees with its clause, above ½ and below 1.
        contrast: how often A has the other sentiment than B.
        neutral: the share of words without feeling.
        words: the fewest and the most words in a clause.

    Raises:
        ValueError: shares outside their range.

    Example:
        >>> reviews = Reviewer().sample(2, generator=torch.Generator().manual_seed(3))
        >>> len(reviews.sentences), reviews.labels.shape
        (2, torch.Size([2]))
    """

    def __init__(
        self,
        but: float = 0.3,
        agree: float = 0.8,
        contrast: float = 0.9,
        neutral: float = 0.4,
        words: tuple[int, int] = (3, 6),
    ) -> None:
        inside = all(0 <= share <= 1 for share in (but, contrast, neutral))
        if not inside or not 0.5 < agree < 1 or not 1 <= words[0] <= words[1]:
            raise ValueError(
                "Expected shares in [0, 1], agree above 0.5 and below 1, and words (fewest, most); "
                f"got but={but}, agree={agree}, contrast={contrast}, neutral={neutral}, "
                f"words={words}."
            )
        self.but, self.agree, self.contrast, self.neutral = but, agree, contrast, neutral
        self.words = words

    def sample(self, n: int, *, generator: Generator | None = None) -> Reviews:
        """Draw sentences with their labels, 1 for favourable.

        Raises:
            ValueError: n below 1.
        """

        def chance(p: float) -> bool:
            return bool(torch.rand((), generator=generator) < p)

        sentences, labels = [], []
        for _ in range(count(n, "n")):
            label = chance(0.5)
            clauses = [self._clause(label, chance, generator)]
            if chance(self.but):
                other = label ^ chance(self.contrast)
                clauses.insert(0, self._clause(other, chance, generator))
            sentences.append(" but ".join(clauses))
            labels.append(int(label))
        return Reviews(tuple(sentences), torch.tensor(labels))

    def _clause(self, favourable: bool, chance, generator: Generator | None) -> str:
        low, high = self.words
        length = int(torch.randint(low, high + 1, (), generator=generator))
        words = []
        for _ in range(length):
            good = GOOD if favourable == chance(self.agree) else BAD
            kind = (NEUTRAL if chance(self.neutral) else good).split()
            words.append(kind[int(torch.randint(len(kind), (), generator=generator))])
        return " ".join(words)

    def posterior(self, sentences: tuple[str, ...]) -> Tensor:
        """p(favourable | sentence), exact, ``[n]``.

        Example: two words against one, and the clause after "but" with what A adds to it.
            >>> Reviewer().posterior(("witty warm dull film", "dull dull film but witty warm plot"))
            tensor([0.8000, 0.9893], dtype=torch.float64)
        """
        return torch.tensor([self._posterior(s) for s in sentences], dtype=torch.float64)

    def _posterior(self, sentence: str) -> float:
        *before, last = (self._odds(clause) for clause in sentence.split(" but "))
        for odds in before:  # p(A | y = 1) / p(A | y = 0), a mixture over the sentiment of A
            c = self.contrast
            last += math.log(((1 - c) * math.exp(odds) + c) / (c * math.exp(odds) + 1 - c))
        return 1 / (1 + math.exp(-last))

    def _odds(self, clause: str) -> float:
        good, bad = GOOD.split(), BAD.split()
        score = sum((word in good) - (word in bad) for word in clause.split())
        return score * math.log(self.agree / (1 - self.agree))
