"""The real chapters through the grader, which says of each answer what the notebook says."""

import ast
from dataclasses import replace
from pathlib import Path

import pytest

from genlab.course import notebooks
from genlab.course.grade.archive import key
from genlab.course.grade.confine import Limits
from genlab.course.grade.referee import grade
from genlab.course.grade.student import Student
from genlab.course.root import chapters

ROOT = Path(__file__).parents[1]


def sources(nb, at=None, wrong=""):
    """The code cells, without wrong answers; behind one of them stands another text."""
    return [
        f"{cell.source}\n\n\n{wrong}" if i == at else cell.source
        for i, cell in enumerate(nb.cells)
        if cell.cell_type == "code" and notebooks.WRONG not in cell.metadata.get("tags", [])
    ]


@pytest.fixture
def student():
    with Student(Limits()) as student:
        yield student


@pytest.mark.parametrize("name", chapters(ROOT))
def test_every_solution_gets_all_points(name, student):
    nb = notebooks.read(ROOT / "solutions" / f"{name}.py")
    marked = key(name, notebooks.solution(nb))
    marks = grade(marked, sources(nb), student)
    assert {mark.number: mark.reason for mark in marks if mark.reason} == {}
    assert [mark.points for mark in marks] == [task.points for task in marked.tasks]


@pytest.mark.parametrize("name", chapters(ROOT))
def test_a_known_mistake_of_each_exercise_gets_none_and_the_checks_own_reason(name, student):
    nb = notebooks.read(ROOT / "solutions" / f"{name}.py")
    marked = key(name, notebooks.solution(nb))
    last = dict(notebooks.wrong_answers(nb))  # of each solution
    for at, cell in last.items():
        names = {s.name for s in ast.parse(cell.source).body if hasattr(s, "name")}
        tasks = tuple(task for task in marked.tasks if names & {*task.names})
        (mark,) = grade(replace(marked, tasks=tasks), sources(nb, at, cell.source), student)
        assert mark.points == 0, cell.source
        assert mark.reason.startswith("not yet, because "), mark.reason
        assert "stopped with" not in mark.reason, mark.reason
    assert len(last) == len(marked.tasks)


OTHER_STYLES = {
    "0.1 an object that can be called": """
class Flips:
    def __call__(self, x, theta):
        ones = x.double().sum()
        return torch.xlogy(ones, theta) + torch.xlogy(len(x) - ones, 1 - theta)


log_likelihood_of_flips = Flips()
""",
    "0.3 a network, whose attribute the hidden tests set": """
class Exponential(torch.nn.Module):
    def fit(self, x):
        self.rate = 1 / x.mean()
        return self

    def log_prob(self, x):
        return torch.where(x < 0, -math.inf, self.rate.log() - self.rate * x)

    def sample(self, n, *, generator=None):
        z = torch.rand(n, dtype=torch.float64, generator=generator)
        return -(1 - z).log() / self.rate
""",
    "1.6 scikit-learn": """
from sklearn.neighbors import NearestNeighbors


def widths(x, k):
    return torch.tensor(NearestNeighbors(n_neighbors=k + 1).fit(x).kneighbors(x)[0][:, k])
""",
    "1.7 a partial function": """
from functools import partial

EXPONENTS = {"kernel": lambda d: 4 / (4 + d), "histogram": lambda d: 2 / 3, "normal": lambda d: 1}


def factor(exponents, estimate, d=1):
    return 2 ** (1 / exponents[estimate](d))


more_data = partial(factor, EXPONENTS)
""",
    "1.7 a table that is filled entry by entry": """
exponents = {}
exponents["kernel"] = lambda d: 4 / (4 + d)
exponents["histogram"] = lambda d: 2 / 3
exponents["normal"] = lambda d: 1


def more_data(estimate, d=1):
    return 2 ** (1 / exponents[estimate](d))
""",
    "7.8 torch.func's vmap and jacrev of the check's network": """
from torch.func import jacrev, vmap


def leaks(network, x):
    return (vmap(jacrev(lambda row: network(row[None])[0]))(x) != 0).any(0).triu()


def honest(network, x):
    total = 0
    for i in range(x.shape[1]):
        logit = network(x * (torch.arange(x.shape[1]) < i))[:, i]
        total = total + torch.distributions.Bernoulli(logits=logit).log_prob(x[:, i])
    return total
""",
    "8.7 torch.func's vmap and grad of a critic whose weights are to learn": """
from scipy.optimize import linprog
from torch.func import grad, vmap


def dual(p, q, distance, K=1.0):
    n = len(p)
    pairs = [(i, j) for i in range(n) for j in range(n)]
    A = torch.zeros(len(pairs), n, dtype=torch.float64)
    for row, (i, j) in zip(A, pairs):
        row[i] += 1
        row[j] -= 1
    limits = [K * float(distance[i, j]) for i, j in pairs]
    free = [(0, 0)] + (n - 1) * [(None, None)]
    D = torch.tensor(linprog((q - p).numpy(), A_ub=A.numpy(), b_ub=limits, bounds=free).x)
    return float((p - q) @ D) / K, D


@torch.no_grad()
def clip(critic, c):
    for w in critic.parameters():
        w.copy_(w.clip(-c, c))


def penalty(critic, real, fake, share):
    between = share[:, None] * real + (1 - share[:, None]) * fake
    slopes = vmap(grad(lambda x: critic(x[None]).reshape(())))(between)
    return (slopes.norm(dim=1) - 1) ** 2
""",
    "9.3 torch.func's grad of the check's law": """
def terms(now, at, prior, a):
    log_q = torch.stack([logsigmoid(a), logsigmoid(-a)])
    joint = log_q.exp() * (prior @ at)
    Z = joint.sum(1)
    return torch.stack(
        [
            -prior @ (now * log_q).sum(1),
            prior @ kl(now, joint / Z[:, None]),
            prior @ kl(now, prior @ now),
            kl(prior @ now, prior @ at),
            prior @ Z.log(),
        ]
    )


def slopes(law, theta, theta0, prior, a):
    J = torch.func.jacrev(lambda t: terms(law(t), law(theta0).detach(), prior, a))(theta)
    return torch.stack([J[0], J[1] - J[2]])


def failure(law, theta, theta0, prior):
    return torch.func.grad(lambda t: -kl(prior @ law(t), prior @ law(theta0).detach()))(theta)
""",
}


@pytest.mark.parametrize("what", OTHER_STYLES)
def test_an_answer_in_another_style_gets_its_points(what, student):
    number = what.partition(" ")[0]
    (name,) = (name for name in chapters(ROOT) if name.startswith(f"0{number[0]}_"))
    nb = notebooks.solution(notebooks.read(ROOT / "solutions" / f"{name}.py"))
    marked = key(name, nb)
    tasks = tuple(task for task in marked.tasks if task.number == number)
    cells = [*marked.given, OTHER_STYLES[what]]
    (mark,) = grade(replace(marked, tasks=tasks), cells, student)
    assert (mark.points, mark.reason) == (mark.of, "")
