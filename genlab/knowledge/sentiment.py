""" "A but B": a rule about sentences teaches a reader of sentences.

"A terrific cast, but the film is dull": the sentence has the sentiment of B. A network that takes
the strongest phrase wherever it stands does not know it. The rule enters the teacher, the teacher
the student; and it can also be put on top of a finished student, when it is asked.
"""

import torch
from torch import Generator, Tensor, nn

from genlab.data import Reviews
from genlab.knowledge.distill import distill, imitation
from genlab.knowledge.logic import soft_implies, truth_values
from genlab.knowledge.rules import rule_teacher
from genlab.knowledge.words import NOTHING, Vocabulary
from genlab.nets import weights_from

__all__ = ["ButTeacher", "PhraseNet", "accuracies", "but_rule", "compare"]


def but_rule(sigma_b: Tensor, applies: Tensor) -> Tensor:
    """The truth of "the sentence has the sentiment of B" for the labels 0 and 1, ``[n, 2]``.

    It is the mean of the two implications (y = 1 ⇒ B favourable) and (B favourable ⇒ y = 1):
    (1 + σ_B)/2 for y = 1 and (2 − σ_B)/2 for y = 0. Where there is no "but" it is 1 for both.

    Args:
        sigma_b: how favourable B is, in [0, 1], ``[n]``.
        applies: where there is a "but", ``[n]`` of truth values.

    Raises:
        ValueError: degrees outside [0, 1].

    Source: Hu et al. 2016, arXiv:1603.06318, section 4.

    Example:
        >>> but_rule(torch.tensor([0.9, 0.9]), torch.tensor([True, False]))
        tensor([[0.5500, 0.9500],
                [1.0000, 1.0000]])
    """
    b = truth_values(sigma_b, "the sentiment of B")[:, None]
    y = torch.tensor([0.0, 1.0]).to(b).expand(len(b), 2)
    b = b.expand_as(y)
    truth = (soft_implies(y, b) + soft_implies(b, y)) / 2
    return torch.where(applies[:, None], truth, 1.0)


class PhraseNet(nn.Module):
    """A small Kim network: words as vectors, filters over one to three words, their maxima.

    Args:
        words: size of the vocabulary.
        dims, channels: of the vectors, and filters of each width.
        dropout: share of the maxima that is left out in training.

    Source: Kim 2014, arXiv:1408.5882.
    """

    def __init__(
        self,
        words: int,
        dims: int = 16,
        channels: int = 16,
        dropout: float = 0.0,
        *,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        with weights_from(generator):
            self.vectors = nn.Embedding(words, dims, padding_idx=NOTHING)
            self.filters = nn.ModuleList(nn.Conv1d(dims, channels, w, padding=1) for w in (1, 2, 3))
            self.out = nn.Linear(3 * channels, 2)
        self.dropout = nn.Dropout(dropout)

    def read(self, words: Tensor) -> Tensor:
        """Logits ``[n, 2]`` of rows of words ``[n, length]``."""
        v = self.vectors(words).transpose(1, 2)
        phrases = torch.cat([f(v).relu().amax(-1) for f in self.filters], 1)
        return self.out(self.dropout(phrases))

    def forward(self, x: Tensor) -> Tensor:
        """Logits ``[n, 2]`` of encoded sentences ``[n, 2, length]``: the first row is read."""
        return self.read(x[:, 0])


class ButTeacher:
    """q(y | x) ∝ p(y | x) e^{λ r(x, y)}, where the student itself judges the clause B.

    Args:
        student: has ``read``.
        weight: λ ≥ 0. The source has 6; its code tilts by λ σ_B(y), which is this rule with 2λ.
    """

    def __init__(self, student: PhraseNet, weight: float = 6.0) -> None:
        self.student, self.weight = student, weight

    @torch.no_grad()
    def __call__(self, x: Tensor, p: Tensor) -> Tensor:
        clause = x[:, 1]
        sigma_b = self.student.read(clause).softmax(-1)[:, 1]
        truth = but_rule(sigma_b, (clause != NOTHING).any(1))
        return rule_teacher(p, truth[..., None], [self.weight], ["A but B"])


def accuracies(q: Tensor, y: Tensor, but: Tensor) -> dict[str, float]:
    """The share of right labels: of all sentences, of those with "but", and of the rest.

    Example:
        >>> q = torch.tensor([[0.1, 0.9], [0.9, 0.1], [0.2, 0.8]])
        >>> accuracies(q, torch.tensor([1, 1, 1]), torch.tensor([True, True, False]))
        {'all': 0.6666666666666666, 'but': 0.5, 'rest': 1.0}
    """
    right = (q.argmax(-1) == y).double()
    parts = {"all": torch.ones_like(but), "but": but, "rest": ~but}
    return {name: float(right[part].mean()) for name, part in parts.items()}


def compare(
    train: Reviews,
    test: Reviews,
    *,
    weight: float = 6.0,
    epochs: int = 20,
    lr: float = 2e-3,
    dropout: float = 0.5,
    dims: int = 16,
    generator: Generator | None = None,
) -> dict[str, dict[str, float]]:
    """Four readers of the same sentences: with the rule never, when asked, when taught, or both.

    The two networks begin with the same weights and see the same batches.

    Args:
        train, test: sentences with labels, of :class:`Reviewer` or
            :func:`genlab.data.movie_reviews`.
        weight: λ of the rule.
        epochs, lr, dropout, dims: of the training and of the network.

    Returns:
        accuracies by ``"baseline"``, ``"baseline, projected"``, ``"student"`` (p after
        distillation) and ``"teacher"`` (q after it), each as :func:`accuracies`.

    Source: Hu et al. 2016, arXiv:1603.06318; Krishna et al. 2018, arXiv:1808.07733.
    """
    vocabulary = Vocabulary(train.sentences)
    x, asked = vocabulary.encode(train.sentences), vocabulary.encode(test.sentences)
    but = (asked[:, 1] != NOTHING).any(1)
    seed = int(torch.randint(2**31, (), generator=generator))
    found = {}
    for names, pi in (
        (("baseline", "baseline, projected"), 0.0),
        (("student", "teacher"), imitation()),
    ):
        g = torch.Generator().manual_seed(seed)
        net = PhraseNet(len(vocabulary), dims, dropout=dropout, generator=g)
        teacher = ButTeacher(net, weight)
        # Dropout draws from the global generator, for which another stands in.
        with weights_from(torch.Generator().manual_seed(seed + 1)):
            distill(net, x, train.labels, teacher, pi=pi, epochs=epochs, lr=lr, generator=g)
        net.eval()
        with torch.no_grad():
            p = net(asked).softmax(-1)
        for name, prediction in zip(names, (p, teacher(asked, p)), strict=True):
            found[name] = accuracies(prediction, test.labels, but)
    return found
