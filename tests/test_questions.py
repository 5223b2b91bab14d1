"""Questions: their source, the page that shows them, and the questions of the book."""

import itertools
import math
import subprocess
import sys
from collections import Counter
from decimal import Decimal
from functools import partial
from pathlib import Path

import pytest
import torch
from bs4 import BeautifulSoup
from torch.distributions import MultivariateNormal, Normal, Uniform, kl_divergence

from genlab.autoregressive import WaveNet
from genlab.course.questions import read
from genlab.course.root import CourseError
from genlab.density import FullTable
from genlab.divergences import transport, wasserstein_1d
from genlab.early import explaining_away, metropolis_kernel, optimal_denoiser, unpredictability
from genlab.flows import bits_per_dim, log_pushforward
from genlab.gans import (
    expected_classes,
    parallel_lines,
    simultaneous,
    solve_zero_sum,
    trajectory,
    zero_sum_field,
)
from genlab.knowledge import (
    Chain,
    average_of_teachers,
    posterior_regularization,
    soft_and,
    soft_implies,
    soft_not,
    soft_value_iteration,
)
from genlab.unified import lemma_vae, missed_mode, on_finite
from genlab.variational import HelmholtzMachine, mean_field

ROOT = Path(__file__).parents[1]
CHAPTERS = sorted((ROOT / "book").glob("[0-9][0-9]_*.md"))

PAGE = r"""
# A page

## Check yourself

:::{question} What is $F^{-1}(F(4.5))$?
:name: flat
- [ ] 4.5

  Only where $F$ rises.

  - a list
- [x] 4
  or so

  $$ F(4) = 0.35 $$
- [ ] 5

  No.
:::

:::{question} Which are even?
:name: even
- [x] 2

  Twice one.
- [x] 4

  Twice two.
- [ ] 5

  Odd.
:::

:::{question} How much?
:name: factor
:answer: 1.74
:tolerance: 0.01

By $2^{4/5}$.
:::

```{question} Why *so*?
:name: why
Because.

And therefore.
```
"""

# What is wrong with a question, and what is said of it.
FAULTS = {
    "no name": (":answer: 1\n\nOne.", "it has no name"),
    "a name with blanks": (":name: a b\n:answer: 1\n\nOne.", "small letters with hyphens"),
    "no right choice": (":name: q\n- [ ] a\n\n  No.\n- [ ] b\n\n  No.", "no choice is right"),
    "one choice only": (":name: q\n- [x] a\n\n  Yes.", "it has one choice only"),
    "an empty reason": (":name: q\n- [x] a\n\n  Yes.\n- [ ] b", "there is no reason under 'b'"),
    "a text outside": (":name: q\n- [x] a\n\n  Yes.\n- [ ] b\n\n  No.\n\nSo.", "a text under its"),
    "a text before": (
        ":name: q\nSo:\n\n- [x] a\n\n  Yes.\n- [ ] b\n\n  No.",
        "a text stands before",
    ),
    "choices and a number": (
        ":name: q\n:answer: 1\n- [x] a\n\n  Yes.\n- [ ] b\n\n  No.",
        "it has choices and a number",
    ),
    "a tolerance without an answer": (
        ":name: q\n:tolerance: 1\n\nSo.",
        "a tolerance and no number",
    ),
    "no number": (":name: q\n:answer: one\n\nSo.", "expected a number such as 1.74, got 'one'"),
    "no answer": (":name: q\n:answer: 1\n", "it has no answer"),
}


def build(folder: Path, builder: str = "html", **pages: str) -> tuple[Path, str]:
    """Pages in MyST built by Sphinx: the folder of the result, and what Sphinx warned of."""
    (folder / "conf.py").write_text(
        "extensions = ['myst_parser']\n"
        "myst_enable_extensions = ['colon_fence', 'dollarmath']\n"
        "from genlab.course.quiz import connect as setup\n"
    )
    toc = "".join(f"{name}\n" for name in pages if name != "index")
    for name, text in pages.items():
        below = f"\n```{{toctree}}\n{toc}```\n" if name == "index" else ""
        (folder / f"{name}.md").write_text(text + below)
    out = folder / "_build" / builder
    command = [sys.executable, "-m", "sphinx", "-q", "-n", "-b", builder, str(folder), str(out)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return out, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    out, warned = build(tmp_path_factory.mktemp("site"), index=PAGE)
    assert warned == ""
    return out


@pytest.fixture(scope="module")
def page(site) -> BeautifulSoup:
    return BeautifulSoup((site / "index.html").read_text(), "html.parser")


def test_a_page_is_read_question_by_question(tmp_path):
    (tmp_path / "page.md").write_text(PAGE)
    flat, even, factor, why = read(tmp_path / "page.md")
    assert flat.text == "What is $F^{-1}(F(4.5))$?"
    assert [(c.text, c.right) for c in flat.choices] == [
        ("4.5", False),
        ("4\nor so", True),
        ("5", False),
    ]
    assert flat.choices[0].reason == "Only where $F$ rises.\n\n- a list"
    assert (flat.several, even.several) == (False, True)
    assert (factor.answer, factor.tolerance) == (Decimal("1.74"), Decimal("0.01"))
    assert factor.reason == "By $2^{4/5}$."
    assert (why.answer, why.choices, why.reason) == (None, (), "Because.\n\nAnd therefore.")


@pytest.mark.parametrize(("body", "said"), FAULTS.values(), ids=FAULTS)
def test_a_faulty_question_is_refused_with_its_place(tmp_path, body, said):
    (tmp_path / "page.md").write_text(f"# T\n\n:::{{question}} How?\n{body}\n:::\n")
    with pytest.raises(CourseError, match=r"page.md, line 3: ") as fault:
        read(tmp_path / "page.md")
    assert said in str(fault.value)


def test_a_name_is_given_once_a_page(tmp_path):
    (tmp_path / "page.md").write_text(2 * "\n:::{question} How?\n:name: same\nSo.\n:::\n")
    with pytest.raises(CourseError, match="line 7: a second question is called 'same'"):
        read(tmp_path / "page.md")


def test_sphinx_warns_of_every_faulty_question(tmp_path):
    """A warning fails the build of the book."""
    questions = [
        f":::{{question}} {name}\n{body.replace(':name: q', f':name: q{i}')}\n:::\n"
        for i, (name, (body, _)) in enumerate(FAULTS.items())
    ]
    again = "# More\n\n:::{question} How?\n:name: flat\nSo.\n:::\n"
    _, warned = build(tmp_path, index="# T\n\n" + "\n".join(questions), one=PAGE, two=again)
    for _, said in FAULTS.values():
        assert said in warned
    assert "a second question is called 'flat'; the first is in one" in warned


def test_choices_are_folded_and_say_why(page):
    choices = page.select("#flat details.choice")
    assert [c.summary.get_text() for c in choices] == ["a 4.5", "b 4\nor so", "c 5"]
    assert [c.div.get_text().split(".")[0] for c in choices] == ["Not yet", "Right", "Not yet"]
    assert choices[0].div.li.get_text(strip=True) == "a list"
    assert "F(4) = 0.35" in choices[1].select_one("div.math").get_text()
    assert not page.select("details[open]"), "nothing is open before it is asked for"


def test_folded_choices_differ_in_nothing_that_is_seen(page):
    """Right and wrong are told apart by a class, and the style sheet looks at it when open."""
    kinds = {tuple(c["class"]) for c in page.select("#flat details")}
    assert kinds == {("choice", "right"), ("choice", "wrong")}
    style = (ROOT / "book" / "_static" / "genlab.css").read_text().split("@media print")
    rules = [line for part in style for line in part.splitlines() if ".question" in line]
    screen = [line for line in rules if (".right" in line or ".wrong" in line)]
    assert [line for line in screen if "[open]" not in line and not line.startswith("  ")] == []


def test_a_question_is_a_group_with_its_text_as_name(page):
    boxes = page.select("div.question[role=group]")
    assert [box["id"] for box in boxes] == ["flat", "even", "factor", "why"]
    for box in boxes:
        assert box.find(id=box["aria-labelledby"])["class"] == ["question-text"]
        assert not box.select("h1, h2, h3, h4, h5, h6"), "the contents list sections only"
    assert page.select_one("#why .question-text em").get_text() == "so"


def test_numbers_and_open_questions_fold_their_answer(page):
    number, why = page.select_one("#factor details"), page.select_one("#why details")
    assert page.select_one("#factor .question-hint").get_text() == "A number, to within 0.01."
    assert number.div.p.get_text().startswith("1.74. By")
    assert [p.get_text() for p in why.div.select("p")] == ["Because.", "And therefore."]
    assert page.select_one("#even .question-hint").get_text() == "Choose all that are right."


def test_questions_are_in_the_search_index_and_on_the_single_page(site, tmp_path):
    assert '"therefor"' in (site / "searchindex.js").read_text(), "stemmed"
    single, warned = build(tmp_path, "singlehtml", index=PAGE)
    assert warned == ""
    assert (single / "index.html").read_text().count("<details") == 8


@pytest.mark.parametrize("page", CHAPTERS, ids=lambda page: page.stem)
def test_a_chapter_asks_what_can_be_marked(page):
    questions = read(page)
    assert sum(bool(q.choices) or q.answer is not None for q in questions) >= 4
    for question in questions:
        assert question.name.startswith(f"{page.stem[3:]}-"), question.name
        assert len(question.choices) in (0, 3, 4), question.name
        assert len({c.text for c in question.choices}) == len(question.choices), question.name


def test_the_right_choice_has_no_favourite_place():
    places = Counter(
        next(i for i, choice in enumerate(question.choices) if choice.right)
        for page in CHAPTERS
        for question in read(page)
        if question.choices and not question.several
    )
    assert max(places.values()) <= places.total() / 2
    assert len(places) == 4


def test_the_numbers_of_the_questions_are_right():
    f = torch.linspace(-4, 4, 8001, dtype=torch.float64)
    hinge = 0.75 * (1 - f).relu() + 0.25 * (1 + f).relu()
    samples = torch.tensor([[0, 1, 5], [3, 1, 2]], dtype=torch.float64)
    events = [c for size in range(5) for c in itertools.combinations(range(4), size)]
    means = torch.tensor([0, 2], dtype=torch.float64)
    codes = MultivariateNormal(torch.zeros(2), torch.tensor([[1.0, 0.6], [0.6, 1.0]]))
    roots, quarter = [torch.sqrt, lambda x: -torch.sqrt(x)], torch.tensor([0.25])
    table = FullTable().fit(torch.randint(0, 2, (50, 10), generator=torch.Generator()))
    turn = partial(simultaneous, zero_sum_field(lambda d, g: d * g), rate=0.1)
    swap = torch.tensor([[0.0, 1.0], [1.0, 0.0]])
    teachers = average_of_teachers([[0.9, 0.1], [0.9, 0.1], [0.3, 0.7]])
    coin = soft_value_iteration(Chain([[0, 0]], [[0.0, 1.0]]), 1)
    eighth = torch.full((8,), 0.125, dtype=torch.float64)
    flat = torch.zeros(8, 2, dtype=torch.float64)  # q(z | x, 1) is the prior
    machine = HelmholtzMachine(eighth[:2] * 4, flat.T, flat)
    octal = lemma_vae(machine, eighth, eighth, flat)
    patterns = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0]])
    wide = Normal(0.0, math.sqrt(5))
    even, apart = torch.ones(20).double() / 20, torch.cdist(*parallel_lines(0.2, 20))
    right = {
        "models-hinge": float(f[hinge.argmin()]),
        "models-noise": -math.log(0.01),
        "density-double": 2 ** (4 / (4 + 12)),
        "density-table": table.n_params,
        "divergences-sorted": float(wasserstein_1d(*samples)),
        "divergences-events": len(events),
        "em-responsibility": float(Normal(means, 1).log_prob(means[1]).softmax(0)[1]),
        "em-numbers": (2 - 1) + 2 * (2 - 1) + 2 * (27 - 1),
        "variational-precision": float(mean_field(codes).variance[0]),
        "variational-kl": float(kl_divergence(Normal(1.0, 0.5), Normal(0.0, 1.0))),
        "flows-branches": math.exp(log_pushforward(Uniform(-1.0, 2.0).log_prob, roots, quarter)),
        "flows-iterations": math.ceil(math.log(0.001) / math.log(0.5)),
        "flows-price": 2 * float(kl_divergence(Normal(0.0, 3.0), Normal(0.0, 1.0))),
        "flows-bits": bits_per_dim(2700.0, 784, cell=1 / 256),
        "flows-conv": 4 * 4 * math.log(2),
        "autoregressive-forgotten": 5,
        "autoregressive-xor": math.log(2),
        "autoregressive-blind": 6,
        "autoregressive-field": WaveNet(2, 94, layers=5, cycles=3).receptive_field,
        "autoregressive-noise": 83.5 + math.log(10),
        "unified-label": float(on_finite([1.0, 0.0], [0.0, 1.0], real=0.25).js()),
        "unified-refund": missed_mode(0.25).effective,
        "unified-constant": float(octal.constant),
        "unified-weight": float(torch.tensor([1.0, 3.0]).log().softmax(0)[1]),
        "knowledge-cost": float(posterior_regularization([0.8, 0.2], [0, 1], math.log(4)).kl),
        "knowledge-lukasiewicz": float(soft_implies(soft_and(0.9, 0.6), soft_not(0.9))),
        "knowledge-hard": float(posterior_regularization([0.95, 0.05], [0, 1], math.inf).kl),
        "knowledge-dual": 2 * 2 - 3,
        "knowledge-teachers": float(teachers[0]),
        "knowledge-soft-value": float(coin.value[0, 0]),
        "early-refused": float(metropolis_kernel(torch.tensor([1.0, 3.0]), swap)[1, 1]),
        "early-worth": 10_000 * (1 - 0.98) / (1 + 0.98),
        "early-second-cause": explaining_away(0.2, 0.5, 0.0).given_effect_and_other,
        "early-one-unit": (1 + math.e) / ((1 + math.e) + (1 + 1 / math.e)),
        "early-cd-sweeps": 1 + math.ceil(math.log(20) / math.log(1 / 0.9)),
        "early-shrink": float(optimal_denoiser(wide.log_prob, torch.tensor([3.0]), 1.0)),
        "early-three-patterns": float(unpredictability(patterns, torch.ones(3) / 3)),
        "gans-mixed": solve_zero_sum([[3, -1], [-2, 1]]).value,
        "gans-bound": (math.log(4) - 1) / 2,
        "gans-spiral": float(trajectory(turn, torch.tensor([1.0, 0.0]), 100)[-1].norm()),
        "gans-bridge": float(Normal(0.0, 1.0).cdf(torch.tensor(0.2))) - 0.5,
        "gans-packs": 1 - 0.8**5,
        "gans-critic": 5 * float(transport(even, even, apart).cost),
        "gans-classes": float(expected_classes(torch.ones(10).double() / 10, 10)),
    }
    asked = {q.name: q for page in CHAPTERS for q in read(page) if q.answer is not None}
    assert asked.keys() == right.keys()
    for name, question in asked.items():
        within = max(float(question.tolerance), 1e-12)
        assert abs(float(question.answer) - right[name]) <= within, name
