"""Chapter 07: the product rule, tables, FVBN, NADE, MADE, orderings and autoregressive flows."""

import math
from itertools import pairwise, permutations

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import MultivariateNormal

from genlab import data, laws
from genlab.autoregressive import (
    FVBN,
    IAF,
    MADE,
    MAF,
    NADE,
    Alphabet,
    Autoregressive,
    MarkovChain,
    MaskedAffine,
    MaskedMLP,
    OrderMixture,
    Tabular,
    any_order,
    drawn,
    entropy_rate,
    free_parameters,
    known_first,
    nll,
    ordering,
    python_topics,
    states,
    stationary,
)
from genlab.divergences import entropy, kl, total_variation
from genlab.flows import (
    Compose,
    Dequantised,
    Flow,
    GaussianMargins,
    Inverse,
    StandardNormal,
    negative_log_likelihood,
)
from genlab.laws import LawBroken
from genlab.models import Density, place
from genlab.train import fit

DOUBLE = torch.float64
ORDER = [2, 0, 3, 1]


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def moved(model: nn.Module, scale: float = 1.0, seed: int = 3) -> nn.Module:
    """The model in float64 with its weights pushed away from where they start."""
    g = seeded(seed)
    model = model.double()
    with torch.no_grad():
        for w in model.parameters():
            w += scale * torch.randn(w.shape, generator=g, dtype=DOUBLE)
    return model


def some_law(size: int, seed: int = 4) -> Tensor:
    """Probabilities that are far from uniform."""
    p = -torch.rand(size, dtype=DOUBLE, generator=seeded(seed)).log()
    return p**2 / (p**2).sum()


def law_of(model: nn.Module) -> Tensor:
    """The probabilities of all states of a model."""
    with torch.no_grad():
        return model.log_prob(states(model.event[0], getattr(model, "levels", 2))).exp().double()


def loss(model: nn.Module, p: Tensor) -> float:
    """Cross-entropy with a law of all states."""
    return float(-torch.xlogy(p, law_of(model)).sum())


def tabular(n: int, k: int | None = None, levels: int = 2, order: list[int] | None = None):
    p = some_law(levels**n)
    return Tabular(n, k, levels, order=order).fit(states(n, levels), weights=p)


NETWORKS = {
    "FVBN": lambda: moved(FVBN(4, order=ORDER, generator=seeded())),
    "NADE": lambda: moved(NADE(4, 5, order=ORDER, generator=seeded())),
    "MADE": lambda: moved(MADE(4, (9, 7), order=ORDER, generator=seeded())),
    "MADE without hidden layers": lambda: moved(MADE(4, (), order=ORDER, generator=seeded())),
    "MADE of three levels": lambda: moved(
        MADE(4, (16,), levels=3, order=ORDER, generator=seeded())
    ),
    "MADE in another order": lambda: moved(
        MADE(4, (9,), generator=seeded()).in_order([3, 1, 0, 2])
    ),
}
MODELS = NETWORKS | {
    "Tabular": lambda: tabular(4, order=ORDER),
    "Tabular of order 1": lambda: tabular(4, 1, order=ORDER),
    "Tabular of three levels": lambda: tabular(4, 2, 3, order=ORDER),
}
each_model = pytest.mark.parametrize("name", MODELS)
each_network = pytest.mark.parametrize("name", NETWORKS)


# --- The product rule ----------------------------------------------------------------------------


@pytest.mark.proves("thm-product-rule")
@pytest.mark.covers("S2-21", "S0-14")
@pytest.mark.parametrize("levels", [2, 3])
def test_any_law_is_the_product_of_its_conditionals_in_every_ordering(levels):
    p = some_law(levels**3)
    for order in permutations(range(3)):
        model = Tabular(3, levels=levels, order=order).fit(states(3, levels), weights=p)
        assert torch.allclose(law_of(model), p, atol=1e-15)
        # Each factor is a law of its entry, whatever stands before it.
        rows = model(states(3, levels).double()).exp().sum(-1)
        assert torch.allclose(rows, torch.ones_like(rows))


@pytest.mark.proves("thm-product-rule")
@pytest.mark.covers("S2-21", "E66")
def test_the_printed_product_leaves_out_the_first_entry_and_sums_to_two():
    model, d = tabular(3), 3
    log_conditionals = model.log_conditionals(states(d))
    assert float(log_conditionals[:, 1:].sum(1).exp().sum()) == pytest.approx(2, abs=1e-12)
    assert float(log_conditionals.sum(1).exp().sum()) == pytest.approx(1, abs=1e-12)
    with pytest.raises(IndexError):  # the printed last factor, p(x[d] | x[0:d])
        [0, 1, 1][d]


@pytest.mark.proves("thm-product-rule")
def test_normalised_conditionals_sum_to_one_from_the_last_entry_to_the_first(g):
    # Whatever the functions are: the last sum is 1 for each prefix, then the one before it.
    logits = {x: float(torch.randn((), generator=g)) for n in range(5) for x in prefixes(n)}

    def below(x: tuple[int, ...]) -> float:
        if len(x) == 5:
            return 1.0
        one = 1 / (1 + math.exp(-logits[x]))
        return (1 - one) * below((*x, 0)) + one * below((*x, 1))

    assert below(()) == pytest.approx(1, abs=1e-14)


def prefixes(n: int) -> list[tuple[int, ...]]:
    return [tuple(row) for row in states(n).tolist()] if n else [()]


# --- Parameters, and what an order costs ---------------------------------------------------------


def rank(p: Tensor, weights: list[Tensor]) -> int:
    """Dimension of the family of laws around this one: the rank of ∂p/∂weights."""
    rows = [
        torch.cat([d.flatten() for d in torch.autograd.grad(v, weights, retain_graph=True)])
        for v in p
    ]
    return int(torch.linalg.matrix_rank(torch.stack(rows), rtol=1e-9))


def rank_of(model: nn.Module) -> int:
    return rank(model.log_prob(states(model.event[0])).exp(), list(model.parameters()))


class Softmaxed(Tabular):
    """A table whose rows are softmaxes of free numbers, so that it can be differentiated."""

    def log_prob(self, x: Tensor) -> Tensor:
        self.rows = [self.get_buffer(f"table{t}").log().requires_grad_() for t in range(x.shape[1])]
        terms = [
            row.log_softmax(1)[context, x[:, int(i)]]
            for row, context, i in zip(self.rows, self._contexts(x), self.order, strict=True)
        ]
        return sum(terms)


@pytest.mark.proves("thm-parameters")
@pytest.mark.covers("S1-24")
@pytest.mark.parametrize("levels", [2, 3])
def test_the_number_of_parameters_is_the_dimension_of_the_family(levels):
    n = 4 if levels == 2 else 3
    for k in range(n):
        p = some_law(levels**n)
        model = Softmaxed(n, k, levels).fit(states(n, levels), weights=p)
        found = rank(model.log_prob(states(n, levels)).exp(), model.rows)
        assert found == free_parameters(n, k, levels)
    assert free_parameters(n, 0, levels) == n * (levels - 1)
    assert free_parameters(n, n - 1, levels) == levels**n - 1


@pytest.mark.proves("thm-parameters")
@pytest.mark.covers("S1-24")
def test_between_independence_and_the_full_table_lie_the_networks():
    n = 5
    assert rank_of(moved(FVBN(n))) == n * (n + 1) // 2 == 15
    assert free_parameters(n, 0) == 5
    assert free_parameters(n, 1) == 9
    assert free_parameters(n) == 31
    # NADE shares its 2nH + n + H numbers: with a hidden unit fewer laws than FVBN, with many all.
    small, wide = moved(NADE(n, 1)), moved(NADE(n, 16))
    assert sum(w.numel() for w in small.parameters()) == 2 * n + n + 1
    assert 5 < rank_of(small) < 16
    assert rank_of(wide) == 31
    # 28 × 28 binary pixels.
    assert len(str(free_parameters(784))) == 237
    assert free_parameters(784, 1) == 1567


@pytest.mark.proves("prop-order-k")
@pytest.mark.covers("S2-22")
def test_what_is_forgotten_is_paid_in_conditional_information():
    n, p = 5, some_law(32)
    table = p.reshape([2] * n)

    def window(a: int, b: int) -> float:
        """Entropy of the entries a to b − 1."""
        rest = [i for i in range(n) if not a <= i < b]
        return float(entropy((table.sum(rest) if rest else table).flatten()))

    def added(a: int, i: int) -> float:
        """Entropy of entry i given the entries a to i − 1."""
        return window(a, i + 1) - (window(a, i) if i > a else 0.0)

    lost = []
    for k in range(n):
        q = law_of(Tabular(n, k).fit(states(n), weights=p))
        information = sum(added(max(0, i - k), i) - added(0, i) for i in range(n))
        lost.append(float(kl(p, q)))
        assert lost[-1] == pytest.approx(information, abs=1e-12)
        # Another law of this order is further away.
        other = Tabular(n, k).fit(states(n), weights=some_law(32, seed=8) * 0.2 + 0.8 * p)
        assert float(kl(p, law_of(other))) > lost[-1] - 1e-12
    assert all(a > b for a, b in pairwise(lost))
    assert lost[-1] == pytest.approx(0, abs=1e-12)


@pytest.mark.covers("S1-24")
def test_a_full_table_finds_the_law_and_independence_never_does(g):
    p = some_law(16)
    x = states(4)[torch.multinomial(p, 200_000, replacement=True, generator=g)]
    off = {k: float(total_variation(p, law_of(Tabular(4, k).fit(x)))) for k in (0, 1, 3)}
    assert off[3] < 0.005 < 0.15 < off[1] < off[0]


def test_counting_is_maximum_likelihood_and_smoothing_is_added(g):
    x = torch.randint(0, 3, (40, 3), generator=g)
    model = Tabular(3, 1, 3).fit(x)
    best = float(model.log_prob(x).sum())
    for seed in range(5):
        near = Tabular(3, 1, 3).fit(x, weights=0.5 + torch.rand(40, generator=seeded(seed)))
        assert float(near.log_prob(x).sum()) < best
    one = Tabular(1, levels=3).fit(torch.tensor([[0], [0], [2]]), smoothing=0.5)
    assert law_of(one).tolist() == pytest.approx([2.5 / 4.5, 0.5 / 4.5, 1.5 / 4.5])
    unseen = Tabular(2).fit(torch.tensor([[0, 0]]))
    assert unseen.log_prob(torch.tensor([[1, 0]])).item() == -math.inf
    assert unseen.get_buffer("table1")[1].tolist() == [0.5, 0.5]


# --- Markov chains -------------------------------------------------------------------------------


def source() -> Tensor:
    """A chain of order 2 on three symbols: p(s | c), ``[9, 3]``."""
    p = 0.1 + torch.rand(9, 3, dtype=DOUBLE, generator=seeded(11)).log() ** 2
    return p / p.sum(1, keepdim=True)


def sequences(p: Tensor, n: int, length: int, g: torch.Generator) -> Tensor:
    """Stationary sequences of a chain of order 2."""
    start = torch.multinomial(stationary(p), n, replacement=True, generator=g)
    x = [start // 3, start % 3]
    for _ in range(length - 2):
        logits = p[x[-2] * 3 + x[-1]].log()
        x.append(drawn(logits, torch.rand(n, dtype=DOUBLE, generator=g)))
    return torch.stack(x, 1)


def conditional_entropies(p: Tensor, most: int) -> list[float]:
    """H(x_k | x_0 … x_{k−1}) of the stationary chain of order 2, k = 0 … most, by enumeration."""
    block = [0.0, float(entropy(stationary(p).reshape(3, 3).sum(0)))]
    joint = stationary(p)
    block.append(float(entropy(joint)))
    for _ in range(most - 1):
        joint = (joint[:, None] * p.repeat(len(joint) // 9, 1)).flatten()
        block.append(float(entropy(joint)))
    return [b - a for a, b in pairwise(block)]


@pytest.mark.proves("thm-entropy-rate")
@pytest.mark.covers("S2-22")
def test_the_past_helps_less_and_less_down_to_the_entropy_rate():
    p = source()
    h = conditional_entropies(p, 5)
    rate = entropy_rate(p)
    assert h[0] > h[1] + 0.01 > h[2] + 0.02
    assert h[2:] == pytest.approx([rate] * 4, abs=1e-12)
    pi = stationary(p)
    step = torch.zeros(9, 9, dtype=DOUBLE)
    for c in range(9):
        for s in range(3):
            step[c, (c * 3 + s) % 9] += p[c, s]
    assert torch.allclose(pi @ step, pi, atol=1e-14)
    assert float(pi.sum()) == pytest.approx(1)


@pytest.mark.proves("thm-entropy-rate")
@pytest.mark.covers("S2-22")
def test_chains_of_low_order_stay_above_the_entropy_rate_by_what_they_forget(g):
    p = source()
    x, test = sequences(p, 400, 500, g), sequences(p, 400, 500, g)
    h = conditional_entropies(p, 3)
    for k in range(4):
        chain = MarkovChain(3, k).fit(x)
        each = -chain.log_conditionals(test)[:, 3:].mean(1)
        # The fitted numbers are off by about (parameters) / 2n = 3e-4 nats at most.
        error = float(each.std()) / math.sqrt(len(each))
        assert float(each.mean()) == pytest.approx(h[k], abs=4 * error + 3e-4)
        assert abs(laws.unbiased(each, h[k])) < 4


@pytest.mark.covers("S2-22", "E49")
def test_too_high_an_order_has_too_little_data_and_a_shorter_context_helps_out(g):
    p = source()
    x, test = sequences(p, 1, 400, g), sequences(p, 20, 1000, g)
    reached = {
        (k, a): float(-MarkovChain(3, k, smoothing=a).fit(x).log_conditionals(test).mean())
        for k in (2, 6)
        for a in (0.0, 2.0)
    }
    assert reached[6, 0.0] == math.inf  # a context seen once says that the rest never happens
    assert reached[2, 2.0] + 0.05 < reached[6, 2.0] < 1.3
    train = [float(-MarkovChain(3, k).fit(x).log_prob(x)) for k in range(6)]
    assert all(a > b for a, b in pairwise(train))  # on its own data a longer memory always wins


@pytest.mark.parametrize("k", [0, 1, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.7])
def test_a_chain_sums_to_one_and_its_draws_follow_it(k, smoothing, g):
    chain = MarkovChain(3, k, smoothing=smoothing).fit(torch.randint(0, 3, (7, 5), generator=g))
    every = states(5, 3)
    laws.sums_to_one(chain, every)
    laws.speaks_sampler(chain, 6, generator=g)
    assert isinstance(chain, Density)
    follows(chain.sample(20_000, generator=g), chain.log_prob(every).exp(), 3)
    assert torch.allclose(
        chain.conditional(every).sum(1), torch.ones(len(every), dtype=DOUBLE), atol=1e-12
    )


def follows(x: Tensor, p: Tensor, levels: int) -> None:
    """Draws against the probabilities of all states: a z-score for each."""
    number = torch.zeros(len(x), dtype=torch.long)
    for column in x.unbind(1):
        number = number * levels + column
    counts = number.bincount(minlength=len(p)).double()
    assert counts[p == 0].sum() == 0
    z = (counts - len(x) * p) / (len(x) * p * (1 - p)).sqrt().clamp_min(1)
    assert z.abs().max() < 5


def test_a_chain_counts_as_the_formula_says():
    x = torch.tensor([[0, 1, 0, 0, 1, 1]])
    chain = MarkovChain(2, 1, smoothing=2.0).fit(x)
    zero = (3 + 2 * 0.5) / (6 + 2)
    after_zero = (1 + 2 * zero) / (3 + 2)  # of three transitions from 0 one stays
    assert chain.conditional(torch.tensor([[0]]))[0, 0].item() == pytest.approx(after_zero)
    assert chain.log_conditionals(torch.tensor([[0, 0]])).exp()[0].tolist() == pytest.approx(
        [zero, after_zero]
    )
    assert chain.log_conditionals(torch.zeros(3, 1)).shape == (3, 1)
    assert torch.equal(chain.log_prob(x), chain.log_conditionals(x).sum(1))
    assert chain.sample(2, 9).shape == (2, 9)
    # More of the past than k is not looked at.
    one, other = chain.conditional(torch.tensor([[0, 1], [1, 1]]))
    assert torch.equal(one, other)


@pytest.mark.covers("S2-22", "S1-06")
def test_on_real_text_a_longer_memory_is_better_until_the_data_run_out():
    text = python_topics()[:200_000]
    alphabet = Alphabet(text)
    train, test = alphabet.encode(text)[None].split([160_000, 40_000], 1)
    chains = [MarkovChain(len(alphabet), k, smoothing=2.0).fit(train) for k in (0, 1, 2, 4, 7)]
    reached = [float(-c.log_conditionals(test).mean()) for c in chains]
    assert reached[0] > reached[1] > reached[2] > reached[3]
    assert reached[0] > 2.9
    assert reached[3] < 2.0
    assert reached[4] > reached[3]


# --- The fully visible belief net ----------------------------------------------------------------


def best_fvbn(n: int, p: Tensor, steps: int = 60) -> FVBN:
    """Maximum likelihood on a law, by L-BFGS."""
    model = FVBN(n, generator=seeded()).double()
    solver = torch.optim.LBFGS(
        model.parameters(), max_iter=steps, tolerance_grad=1e-12, line_search_fn="strong_wolfe"
    )

    def closure() -> Tensor:
        solver.zero_grad()
        value = -(p * model.log_prob(states(n))).sum()
        value.backward()
        return value

    for _ in range(3):
        solver.step(closure)
    return model


@pytest.mark.proves("prop-fvbn")
@pytest.mark.covers("S0-14")
def test_an_fvbn_sums_to_one_up_to_ten_units():
    for n in (1, 2, 5, 10):
        order = torch.randperm(n, generator=seeded(n))
        laws.sums_to_one(moved(FVBN(n, order=order)), states(n))


@pytest.mark.proves("prop-fvbn")
def test_the_likelihood_of_an_fvbn_is_concave():
    x = states(4).double()
    p = some_law(16)
    for seed in range(5):
        model = moved(FVBN(4, order=ORDER), seed=seed)
        shapes = {name: w.shape for name, w in model.named_parameters()}

        def value(flat: Tensor, model: FVBN = model, shapes: dict = shapes) -> Tensor:
            sizes = [math.prod(s) for s in shapes.values()]
            parts = zip(shapes.items(), flat.split(sizes), strict=True)
            weights = {name: part.reshape(shape) for (name, shape), part in parts}
            logits = torch.func.functional_call(model, weights, (x,))
            return -(p[:, None] * nn.functional.softplus(logits * (1 - 2 * x))).sum()

        flat = torch.cat([w.detach().flatten() for w in model.parameters()])
        hessian = torch.autograd.functional.hessian(value, flat)
        eigenvalues = torch.linalg.eigvalsh(hessian)
        assert eigenvalues.max() < 1e-12
        assert int((eigenvalues < -1e-9).sum()) == 10  # n (n + 1) / 2 of 20 numbers are used


@pytest.mark.proves("prop-fvbn")
def test_at_the_maximum_the_first_and_second_moments_with_earlier_entries_match():
    p = some_law(16)
    model = best_fvbn(4, p)
    x = states(4).double()
    with torch.no_grad():
        one = model(x).sigmoid()
    residual = (p[:, None] * (x - one)).sum(0)
    assert residual.abs().max() < 1e-6
    cross = torch.einsum("s,si,sj->ij", p, x - one, x)
    assert cross.tril(-1).abs().max() < 1e-6
    # The conditionals of FVBN and of the full table differ: KL is what the products are worth.
    assert 0.005 < float(kl(p, law_of(model))) < float(kl(p, law_of(tabular(4, 0)))) - 0.5


@pytest.mark.proves("prop-fvbn")
@pytest.mark.covers("S0-14", "S0-15")
def test_an_fvbn_cannot_say_exclusive_or_and_loses_log_two():
    x = states(3)
    p = ((x[:, 0] ^ x[:, 1]) == x[:, 2]).double() / 4
    model = best_fvbn(3, p)
    assert loss(model, p) == pytest.approx(3 * math.log(2), abs=1e-9)
    nade = NADE(3, 4, generator=seeded(1)).double()
    fit(
        nade,
        nll,
        x[p > 0],
        steps=400,
        lr=0.1,
        generator=seeded(),
        progress=False,
    )
    assert 0 < loss(nade, p) - 2 * math.log(2) < 0.01  # the entropy is log 4


# --- NADE ----------------------------------------------------------------------------------------


def naive_nade(model: NADE, x: Tensor) -> Tensor:
    """The formula read entry by entry: for each, all activations anew. O(n²H)."""
    order, log_p = model.order.tolist(), 0
    for t, i in enumerate(order):
        before = order[:t]
        h = (x[:, before] @ model.W[:t] + model.c).sigmoid()
        logit = h @ model.V[t] + model.b[t]
        log_p = log_p + torch.where(x[:, i] == 1, logit, -logit).sigmoid().log()
    return log_p


@pytest.mark.proves("prop-nade-cost")
@pytest.mark.covers("S0-15")
def test_shared_activations_give_the_value_and_the_gradient_of_the_formula(g):
    n = 70  # more than two blocks
    model = moved(NADE(n, 6, order=torch.randperm(n, generator=seeded(5))), 0.3)
    x = torch.randint(0, 2, (20, n), generator=g).double()
    quick, slow = model.log_prob(x), naive_nade(model, x)
    assert torch.allclose(quick, slow, atol=1e-13)
    weights = list(model.parameters())
    for a, b in zip(
        torch.autograd.grad(quick.sum(), weights),
        torch.autograd.grad(slow.sum(), weights),
        strict=True,
    ):
        assert torch.allclose(a, b, atol=1e-12)
    laws.sums_to_one(moved(NADE(8, 6)), states(8))


@pytest.mark.proves("prop-nade-cost")
def test_from_one_entry_to_the_next_one_column_is_added():
    # A row of W and one of V are read: 2nH numbers. The formula reads n (n − 1) H / 2 + nH.
    n, H = 6, 3
    model = moved(NADE(n, H))
    x = states(n)[37:38].double()
    model.requires_grad_(False)
    a, reads = model.c, 0
    for i in range(n):
        logit = a.sigmoid() @ model.V[i] + model.b[i]
        assert float(logit) == pytest.approx(float(model(x)[0, i]), abs=1e-13)
        a = a + x[0, i] * model.W[i]
        reads += 2 * H
    assert reads == 2 * n * H < n * (n - 1) * H // 2 + n * H


@pytest.mark.covers("S0-15")
def test_the_quick_draws_of_nade_are_those_of_the_slow_loop(g):
    model = moved(NADE(7, 5, order=torch.randperm(7, generator=seeded(5))))
    u = torch.rand(300, 7, dtype=DOUBLE, generator=g)
    x = model.from_uniforms(u)
    assert torch.equal(x, Autoregressive.from_uniforms(model, u))
    given = x.double().roll(1, 0)
    half = model.from_uniforms(u, given, 3)
    assert torch.equal(half, Autoregressive.from_uniforms(model, u, given, 3))


# --- MADE ----------------------------------------------------------------------------------------


@pytest.mark.proves("thm-made-masks")
@pytest.mark.parametrize("hidden", [(), (4,), (5, 3), (20, 40, 20)])
@pytest.mark.parametrize("outputs", [1, 3])
def test_no_output_of_made_depends_on_its_own_or_a_later_input(hidden, outputs, g):
    n = 6
    order = torch.randperm(n, generator=g)
    net = moved(MaskedMLP(n, outputs, hidden))
    x = torch.randn(64, n, dtype=DOUBLE, generator=g)  # a unit that is flat here is steep there
    masks = net.masks(order)
    assert laws.is_autoregressive(lambda x: net(x, masks), x, order) > 0
    # With n − 1 hidden units or more every earlier input is seen.
    slopes = laws.jacobian(lambda x: net(x, masks).sum(-1), x).abs().amax(0)
    seen = slopes[order][:, order] > 0
    if not hidden or min(hidden) >= n - 1:
        assert torch.equal(seen, torch.ones(n, n, dtype=torch.bool).tril(-1))
    else:
        assert not seen.triu().any()


@pytest.mark.proves("thm-made-masks")
def test_the_product_of_the_masks_counts_the_paths():
    net = MaskedMLP(5, 1, (9, 6))
    place_of = torch.tensor([3, 1, 5, 2, 4])
    first, second = net.degree0, net.degree1
    paths = (
        (place_of[:, None] > second).long()
        @ (second[:, None] >= first).long()
        @ (first[:, None] >= place_of).long()
    )
    assert torch.equal(paths > 0, place_of[:, None] > place_of)


@pytest.mark.proves("thm-made-masks")
def test_one_wrong_sign_in_a_mask_breaks_the_law_and_the_sum(g):
    class Wrong(MADE):
        def forward(self, x: Tensor) -> Tensor:
            first, last = self.net.layers
            place_of = self.order.argsort() + 1
            degree = self.net.degree0
            h = nn.functional.linear(x, first.weight * (degree[:, None] >= place_of), first.bias)
            mask = place_of[:, None] >= degree  # should be >
            return nn.functional.linear(h.relu(), last.weight * mask, last.bias)

    model = moved(Wrong(4, (12,), generator=seeded()))
    with pytest.raises(LawBroken, match="its own"):
        laws.is_autoregressive(model, torch.rand(8, 4, dtype=DOUBLE, generator=g), model.order)
    with pytest.raises(LawBroken, match="sum to"):
        laws.sums_to_one(model, states(4))


@pytest.mark.covers("S0-14")
def test_without_hidden_layers_made_is_an_fvbn(g):
    made, fvbn = moved(MADE(5, ())), FVBN(5).double()
    fvbn.linear.load_state_dict(made.net.layers[0].state_dict())
    assert torch.equal(made.log_prob(states(5)), fvbn.log_prob(states(5)))


def test_the_law_finds_a_dependence_through_many_inputs_and_outputs_of_an_entry():
    x = torch.randn(4, 3, 2, generator=seeded())  # three entries of two inputs each
    earlier = lambda x: (x.cumsum(1) - x)[..., [0, 1, 0]].tanh()
    assert laws.is_autoregressive(earlier, x, range(3)) > 0
    peeking = lambda x: torch.cat([x[:, 1:], x[:, :1]], 1)
    with pytest.raises(LawBroken, match=r"Output \d depends on input \d, which comes later"):
        laws.is_autoregressive(peeking, x, range(3))
    images = torch.rand(2, 1, 2, 2, generator=seeded())
    above = lambda x: nn.functional.pad(x, (0, 0, 1, 0))[:, :, :-1, :, None]
    assert laws.is_autoregressive(above, images, range(4)) > 0
    with pytest.raises(ValueError, match="with 5 entries in the event"):
        laws.is_autoregressive(above, images, range(5))


# --- Orderings -----------------------------------------------------------------------------------


@pytest.mark.proves("prop-orderings")
def test_one_network_is_a_law_in_every_ordering_and_another_in_each():
    made = moved(MADE(3, (16,), generator=seeded()))
    found = []
    for order in permutations(range(3)):
        model = made.in_order(order)
        laws.sums_to_one(model, states(3))
        laws.is_autoregressive(model, states(3).double(), order)
        found.append(law_of(model))
    assert min(float(total_variation(a, b)) for a, b in pairwise(found)) > 1e-3


@pytest.mark.proves("prop-orderings")
def test_the_mixture_over_orderings_is_a_law_above_the_mean_of_logs(g):
    made = moved(MADE(4, (16,), generator=seeded()))
    orders = [ORDER, [0, 1, 2, 3], [3, 2, 1, 0]]
    model = OrderMixture(made, orders)
    assert isinstance(model, Density)
    laws.sums_to_one(model, states(4))
    with torch.no_grad():
        each = torch.stack([made.in_order(o).log_prob(states(4)) for o in orders])
        laws.bounds_from_below(each.mean(0), model.log_prob(states(4)))
    follows(model.sample(20_000, generator=g), law_of(model), 2)
    laws.speaks_sampler(model, 9, generator=g)
    # The mean of logits is no law: its "probabilities" do not sum to 1.
    x = states(4).double()
    logits = torch.stack([made.in_order(o)(x) for o in orders]).mean(0)
    total = float((-nn.functional.softplus(logits * (1 - 2 * x))).sum(1).exp().sum().detach())
    assert abs(total - 1) > 0.01


@pytest.mark.proves("prop-orderings")
def test_the_loss_of_a_random_ordering_is_unbiased_for_the_mean_over_all(g):
    made = moved(MADE(3, (8,), generator=seeded()))
    x = torch.tensor([[1.0, 0.0, 1.0]], dtype=DOUBLE)
    with torch.no_grad():
        every = [float(-made.in_order(o).log_prob(x)) for o in permutations(range(3))]
        draws = torch.cat([any_order(made, x, g) for _ in range(600)])
    laws.unbiased(draws, sum(every) / 6)


@pytest.mark.proves("prop-orderings")
def test_a_network_for_every_ordering_fills_in_any_part(g):
    made = moved(MADE(4, (16,), generator=seeded()))
    known = torch.tensor([False, True, False, True])
    model = made.in_order(known_first(known))
    x = torch.tensor([0.0, 1.0, 0.0, 0.0], dtype=DOUBLE).expand(20_000, 4)
    filled = model.complete(x, 2, generator=g)
    assert torch.equal(filled[:, known], x[:, known].long())
    p, every = law_of(model), states(4)
    fits = (every[:, 1] == 1) & (every[:, 3] == 0)
    follows(filled, torch.where(fits, p, 0) / p[fits].sum(), 2)


@pytest.mark.proves("prop-orderings")
def test_an_ordering_that_fits_the_source_costs_a_small_model_nothing():
    # Noisy copies 0 → 1 → 2: of order 1 forwards and backwards, and not with 1 at the end.
    x = states(3)
    same = lambda a, b: torch.where(x[:, a] == x[:, b], 0.9, 0.1).double()
    p = 0.5 * same(0, 1) * same(1, 2)
    p = p / p.sum()
    lost = {
        order: float(kl(p, law_of(Tabular(3, 1, order=order).fit(x, weights=p))))
        for order in ((0, 1, 2), (2, 1, 0), (0, 2, 1))
    }
    assert lost[0, 1, 2] == pytest.approx(0, abs=1e-12)
    assert lost[2, 1, 0] == pytest.approx(0, abs=1e-12)
    # Given 2, forgetting 0 costs I(x0; x1 | x2).
    table = p.reshape(2, 2, 2)
    pairs = [entropy(table.sum(i).flatten()) for i in (1, 0)]
    cost = float(pairs[0] + pairs[1] - entropy(table.sum((0, 1))) - entropy(p))
    assert lost[0, 2, 1] == pytest.approx(cost, abs=1e-12)
    assert cost > 0.1


# --- Every model ---------------------------------------------------------------------------------


@pytest.mark.covers("S0-14", "S0-15", "S3-13")
@each_model
def test_all_probabilities_sum_to_one_and_the_draws_follow_them(name, g):
    model = MODELS[name]()
    assert isinstance(model, Density)
    assert place(model) == "explicit, tractable"
    every = states(4, model.levels)
    laws.sums_to_one(model, every)
    laws.speaks_sampler(model, 7, generator=g)
    follows(model.sample(20_000, generator=g), law_of(model), model.levels)


@each_network
def test_no_conditional_depends_on_a_later_entry(name, g):
    model = NETWORKS[name]()
    x = (model.levels - 1) * torch.rand(6, 4, dtype=DOUBLE, generator=g)
    assert laws.is_autoregressive(model, x, model.order) > 0
    with pytest.raises(LawBroken):
        laws.is_autoregressive(model, x, model.order.flip(0))


@pytest.mark.covers("S3-13")
@each_model
def test_a_half_that_is_given_stays_and_the_rest_follows_its_conditional(name, g):
    model = MODELS[name]()
    every, p = states(4, model.levels), law_of(model)
    i, j = model.order[:2].tolist()
    x = torch.zeros(20_000, 4)
    x[:, i] = 1
    filled = model.complete(x, 2, generator=g)
    assert (filled[:, i] == 1).all()
    assert (filled[:, j] == 0).all()
    fits = (every[:, i] == 1) & (every[:, j] == 0)
    follows(filled, torch.where(fits, p, 0) / p[fits].sum(), model.levels)
    # What stands at the unknown entries is not looked at; all known is nothing to draw.
    other = x.clone()
    other[:, [k for k in range(4) if k not in (i, j)]] = model.levels - 1
    again = model.complete(other[:50], 2, generator=seeded(1))
    assert torch.equal(again, model.complete(x[:50], 2, generator=seeded(1)))
    assert torch.equal(model.complete(x[:5], 4), x[:5].long())


class Counted(MADE):
    passes = 0

    def forward(self, x: Tensor) -> Tensor:
        self.passes += 1
        return super().forward(x)


@pytest.mark.proves("prop-passes")
@pytest.mark.covers("S0-19", "S0-20", "S2-23")
def test_to_evaluate_takes_one_pass_and_to_draw_takes_one_an_entry():
    model = Counted(12, (8,), generator=seeded())
    model.log_prob(torch.zeros(5, 12))
    assert model.passes == 1
    model.sample(5, generator=seeded())
    assert model.passes == 1 + 12
    model.complete(torch.zeros(5, 12), 9, generator=seeded())
    assert model.passes == 1 + 12 + 3


@each_model
def test_an_entry_is_the_quantile_of_its_conditional(name, g):
    model = MODELS[name]()
    u = torch.rand(500, 4, dtype=DOUBLE, generator=g)
    x = model.from_uniforms(u)
    i = int(model.order[0])
    first = law_of(model).reshape([model.levels] * 4).sum([j for j in range(4) if j != i])
    below = torch.cat([torch.zeros(1, dtype=DOUBLE), first.cumsum(0)])
    assert (below[x[:, i]] <= u[:, i] + 1e-12).all()
    assert (u[:, i] < below[x[:, i] + 1] + 1e-12).all()


# --- Autoregressive flows ------------------------------------------------------------------------


def affine(n: int = 4, order: list[int] | None = None, seed: int = 3) -> MaskedAffine:
    return moved(MaskedAffine(n, (8,), order=order, generator=seeded()), 0.5, seed)


def shaken(model: Flow) -> Flow:
    return moved(model, 0.2)


@pytest.mark.proves("prop-maf-iaf")
@pytest.mark.parametrize("order", [None, ORDER])
def test_the_map_is_triangular_and_its_log_determinant_a_sum(order, g):
    layer = affine(order=order)
    x = torch.randn(6, 4, dtype=DOUBLE, generator=g)
    assert laws.is_triangular(layer, x, order) > 0
    laws.log_det_agrees(layer, x)
    laws.log_det_agrees(Inverse(layer), x)
    laws.inverts(layer, x)


@pytest.mark.proves("prop-maf-iaf")
@pytest.mark.covers("S0-20", "E55")
def test_what_takes_one_pass_in_maf_takes_n_in_iaf_and_the_other_way_round(g):
    n = 5
    calls = []
    models = {}
    for build in (MAF, IAF):
        model = build(n, 1, (8,), generator=seeded())
        for module in model.modules():
            if isinstance(module, MaskedMLP):
                module.register_forward_hook(lambda *_: calls.append(1))
        x = torch.randn(3, n, generator=g)
        calls.clear()
        model.log_prob(x)
        evaluate = len(calls)
        calls.clear()
        model.sample(3, generator=g)
        models[build] = evaluate, len(calls)
    assert models[MAF] == (1, n)
    assert models[IAF] == (n, 1)


@pytest.mark.proves("prop-maf-iaf")
def test_iaf_is_maf_turned_round(g):
    maf, iaf = shaken(MAF(3, 1, (8,), generator=seeded())), IAF(3, 1, (8,)).double()
    iaf.transform.parts[0].transform.load_state_dict(maf.transform.parts[0].state_dict())
    x = torch.randn(7, 3, dtype=DOUBLE, generator=g)
    z, log_det = maf.transform(x)
    back, other = iaf.transform.inverse(x)
    assert torch.equal(z, back)
    assert torch.equal(log_det, other)
    # The gradient of IAF's density goes through all n passes.
    iaf.zero_grad()
    iaf.log_prob(x).sum().backward()
    assert all(w.grad.isfinite().all() for w in iaf.parameters())
    assert all(w.grad.abs().sum() > 0 for w in iaf.parameters())


@pytest.mark.proves("prop-maf-iaf")
def test_one_linear_layer_is_every_gaussian(g):
    A = torch.randn(3, 3, dtype=DOUBLE, generator=g)
    covariance = A @ A.T + 0.3 * torch.eye(3, dtype=DOUBLE)
    L = torch.linalg.cholesky(covariance)
    mean = torch.tensor([1.0, -2.0, 0.5], dtype=DOUBLE)
    layer = MaskedAffine(3, (), bound=50.0).double()
    scale = L.diagonal()
    # x = μ + L z, so x_i given the others before it has the mean μ_i + (L_i L⁻¹ (x − μ))_<i.
    weights = (L / scale).tril(-1) @ torch.diag(scale) @ torch.linalg.inv(L)
    with torch.no_grad():
        last = layer.net.layers[-1]
        last.weight[0::2] = weights
        last.bias[0::2] = mean - weights.tril(-1) @ mean
        last.bias[1::2] = 50 * torch.atanh(scale.log() / 50)
    model = Flow(StandardNormal((3,)), layer).double()
    x = torch.randn(9, 3, dtype=DOUBLE, generator=g)
    truth = MultivariateNormal(mean, covariance).log_prob(x)
    assert torch.allclose(model.log_prob(x), truth, atol=1e-10)


@pytest.mark.parametrize("build", [MAF, IAF])
def test_autoregressive_flows_integrate_to_one_and_their_draws_follow(build, g):
    model = shaken(build(2, 2, (8,), generator=seeded()))
    laws.integrates_to_one(model, [-30.0, -30.0], [30.0, 30.0], points=512)
    laws.samples_follow(model, [-4.0, -4.0], [4.0, 4.0], n=10_000, generator=g)
    x = torch.randn(6, 2, dtype=DOUBLE, generator=g)
    laws.inverts(model.transform, x)
    assert place(model) == "explicit, tractable"


@pytest.mark.proves("prop-maf-iaf")
def test_maf_learns_what_a_gaussian_cannot(g):
    moons = data.TwoMoons(noise=0.1)
    x, test = moons.sample(4000, generator=g), moons.sample(4000, generator=g)
    model = MAF(2, 4, (32,), generator=g)
    fit(model, negative_log_likelihood, x, steps=300, lr=5e-3, generator=g, progress=False)
    gaussian = MultivariateNormal(x.mean(0), x.T.cov()).log_prob(test).mean()
    with torch.no_grad():
        reached = model.log_prob(test).mean()
        truth = moons.log_prob(test).mean()
    assert float(gaussian) + 0.4 < float(reached) < float(truth)


# --- Digits --------------------------------------------------------------------------------------


def digits() -> tuple[Tensor, Tensor]:
    images = data.digits()
    return tuple((16 * v.flatten(1)).round() for v in (images.train, images.test))


def held_out(model: nn.Module, x: Tensor) -> float:
    with torch.no_grad():
        return float(-model.log_prob(x).mean())


@pytest.mark.covers("S3-13")
def test_on_binary_digits_made_beats_fvbn_and_tables_and_fills_in_lower_halves():
    x, test = ((v > 8).float() for v in digits())
    g = seeded()
    reached = {}
    for k in (0, 1, 8):
        reached[k] = held_out(Tabular(64, k).fit(x, smoothing=0.5), test)
    for name, model, steps in (
        ("FVBN", FVBN(64, generator=g), 200),
        ("MADE", MADE(64, (256,), generator=g), 300),
    ):
        fit(model, nll, x, steps=steps, lr=1e-2, generator=g, progress=False)
        reached[name] = held_out(model, test)
    assert reached["MADE"] < 17.4  # peers: 17.59 and 17.91 after 600 steps
    assert reached["MADE"] < reached["FVBN"] - 1 < reached[1] - 3
    assert reached["MADE"] < reached[8] - 1
    assert reached[8] < reached[1] - 3 < reached[0] - 3
    # The lower half costs fewer nats when the upper is given than it has without.
    filled = model.complete(test, 32, generator=g)
    assert torch.equal(filled[:, :32], test[:, :32].long())
    mixed = torch.cat([test[:, :32].roll(1, 0), test[:, 32:]], 1)  # upper halves of others
    with torch.no_grad():
        right, wrong, drawn_ = (
            model.log_conditionals(v)[:, 32:].sum(1) for v in (test, mixed, filled.float())
        )
    assert float((right - wrong).mean()) > 3
    # The model's own completions cost its entropy; those of the data cost KL more.
    assert float(drawn_.mean()) > float(right.mean())


def test_on_binary_digits_one_network_serves_every_ordering_and_their_mixture_is_better():
    x, test = ((v > 8).float() for v in digits())
    g = seeded()
    made = MADE(64, (256,), generator=g)
    fit(made, any_order, x, steps=400, lr=1e-2, generator=g, progress=False)
    orders = [torch.randperm(64, generator=g) for _ in range(6)]
    each = [held_out(made.in_order(o), test) for o in orders]
    mixture = held_out(OrderMixture(made, orders), test)
    assert mixture < min(each)
    assert max(each) - min(each) < 2
    # Any part can be given: every second pixel.
    known = torch.arange(64) % 2 == 0
    filled = made.in_order(known_first(known)).complete(test, 32, generator=g)
    assert torch.equal(filled[:, known], test[:, known].long())
    wrong = float((filled != test).float().mean())
    assert wrong < 0.13


def test_on_digits_of_17_levels_made_beats_independent_pixels():
    x, test = digits()
    g = seeded()
    model = MADE(64, (128,), levels=17, generator=g)
    fit(model, nll, x, steps=150, lr=1e-2, generator=g, progress=False)
    assert held_out(model, test) < held_out(Tabular(64, 0, 17).fit(x, smoothing=0.1), test) - 8
    draws = laws.speaks_sampler(model, 10, generator=g)
    assert draws.max() <= 16


def test_on_digits_maf_behind_the_histograms_beats_114_nats():
    x, test = digits()
    g = seeded()
    margins = GaussianMargins(x, levels=17)
    maf = MAF(64, 2, (128,), generator=g)
    chain = Compose(margins, *maf.transform.parts)
    model = Dequantised(Flow(StandardNormal((64,)), chain), levels=17)
    bound = lambda model, x, g: -model.elbo(x, generator=g)
    fit(model, bound, x, steps=200, lr=3e-3, generator=g, progress=False)
    with torch.no_grad():
        assert float(-model.elbo(test, 4, generator=g).mean()) < 95


# --- Bad input -----------------------------------------------------------------------------------


@each_model
def test_what_is_no_whole_number_of_the_levels_is_refused_in_a_sentence(name):
    model = MODELS[name]()
    top = model.levels - 1
    for bad in (-1.0, top + 1.0, 0.5):
        x = torch.zeros(3, 4)
        x[1, 2] = bad
        with pytest.raises(ValueError, match=f"whole numbers from 0 to {top}"):
            model.log_prob(x)
        with pytest.raises(ValueError, match="whole numbers"):
            model.complete(x, 2)
    x = torch.zeros(3, 4)
    x[0, 0] = math.nan
    with pytest.raises(ValueError, match="1 of 3 rows of the points are NaN"):
        model.log_prob(x)
    for shape in ((3, 5), (4,), (3, 4, 1)):
        with pytest.raises(ValueError, match="Expected points of shape"):
            model.log_prob(torch.zeros(shape))
    with pytest.raises(ValueError, match="n >= 0"):
        model.sample(-1)
    for known in (-1, 5, 2.0):
        with pytest.raises(ValueError, match="Expected 0 to 4 known entries"):
            model.complete(torch.zeros(3, 4), known)
    assert model.sample(0).shape == (0, 4)
    assert model.log_prob(torch.zeros(0, 4)).shape == (0,)
    kinds = (torch.zeros(2, 4, dtype=t) for t in (torch.uint8, torch.bool, torch.long, DOUBLE))
    assert len({float(model.log_prob(x)[0].detach()) for x in kinds}) == 1


@pytest.mark.parametrize("order", [[0, 1, 1, 2], [0, 1, 2], [1, 2, 3, 4], [[0, 1], [2, 3]], 3])
def test_an_ordering_that_is_no_permutation_is_refused(order):
    for build in (FVBN, NADE, MADE, Tabular, MaskedAffine):
        with pytest.raises(ValueError, match="each of 0 to 3 once"):
            build(4, order=order)
    with pytest.raises(ValueError, match="each of 0 to 3 once"):
        MADE(4).in_order(order)


@pytest.mark.parametrize("size", [0, -2, 2.5, True])
def test_sizes_that_are_none_are_refused(size):
    for build in (
        *(FVBN, NADE, MADE, Tabular, MaskedAffine, MAF, IAF, states, free_parameters),
        lambda size: NADE(3, size),
        lambda size: MADE(3, (8, size)),
        lambda size: MADE(3, levels=size),
        lambda size: Tabular(3, levels=size),
        lambda size: MAF(3, size),
        lambda size: MarkovChain(size, 1),
    ):
        with pytest.raises(ValueError, match=f"integer >= 1, got {size}"):
            build(size)


def test_what_does_not_fit_together_is_refused():
    for k in (-1, 3, 1.5):
        with pytest.raises(ValueError, match="order k from 0 to 2"):
            Tabular(3, k)
    with pytest.raises(ValueError, match="bound > 0"):
        MaskedAffine(3, bound=0.0)
    with pytest.raises(ValueError, match="too many to list"):
        states(25)
    with pytest.raises(ValueError, match="too large"):
        Tabular(30)
    with pytest.raises(ValueError, match="one ordering or more"):
        OrderMixture(MADE(3), [])
    with pytest.raises(ValueError, match="smoothing >= 0"):
        Tabular(2).fit(states(2), smoothing=-1.0)
    for weights in (torch.ones(3), -torch.ones(4)):
        with pytest.raises(ValueError, match="a weight >= 0"):
            Tabular(2).fit(states(2), weights=weights)
    with pytest.raises(ValueError, match="one row of data or more"):
        Tabular(2).fit(torch.zeros(0, 2))
    assert ordering(None, 3).tolist() == [0, 1, 2]


def test_a_chain_refuses_what_is_no_sequence():
    for bad in (3, -1, 0.5, math.nan):
        with pytest.raises(ValueError, match="Expected symbols 0 to 2, got values from"):
            MarkovChain(3, 1).fit(torch.tensor([[0, bad]]))
    with pytest.raises(ValueError, match=r"Expected points of shape \(batch, 4\)"):
        MarkovChain(3, 1).fit(torch.zeros(1, 4)).log_prob(torch.zeros(1, 5))
    with pytest.raises(ValueError, match=r"x\[None\]"):
        MarkovChain(3, 1).fit(torch.tensor([0, 1, 2]))
    with pytest.raises(ValueError, match="one symbol or more"):
        MarkovChain(3, 1).fit(torch.zeros(1, 0))
    for k in (-1, 1.5):
        with pytest.raises(ValueError, match="order k >= 0"):
            MarkovChain(3, k)
    with pytest.raises(ValueError, match="64 bits"):
        MarkovChain(100, 9)
    with pytest.raises(ValueError, match="smoothing >= 0"):
        MarkovChain(3, 1, smoothing=-0.5)
    with pytest.raises(ValueError, match="never leaves"):
        stationary(torch.eye(2))
    for p in (torch.ones(2, 2), torch.tensor([[0.5, 0.5]] * 3), torch.ones(2)):
        with pytest.raises(ValueError, match="sum to 1"):
            entropy_rate(p)


@each_network
def test_dtype_and_state_follow_the_weights(name, g):
    model = NETWORKS[name]().float()
    x = model.sample(6, generator=g)
    assert model.log_prob(x).dtype == torch.float32
    other = NETWORKS[name]().float()
    with torch.no_grad():
        for w in other.parameters():
            w.zero_()
    other.load_state_dict(model.state_dict())
    assert torch.equal(other.log_prob(x), model.log_prob(x))
    state = torch.get_rng_state()
    model.sample(2, generator=g)
    assert torch.equal(state, torch.get_rng_state())
    assert not model.sample(1, generator=g).requires_grad
    assert {v.device.type for v in model.to("meta").state_dict().values()} == {"meta"}


@each_network
def test_every_parameter_that_is_used_gets_a_gradient(name):
    model = NETWORKS[name]()
    model.zero_grad()
    model.log_prob(states(4, model.levels)[::3]).sum().backward()
    assert [n for n, w in model.named_parameters() if not w.grad.any()] == []
