"""Chapter 04: Boltzmann machines, restricted, stacked and deep, against sums over all states."""

import copy
import math
from functools import partial
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from genlab import laws
from genlab.data import digits
from genlab.divergences import kl, total_variation
from genlab.early import (
    DBM,
    DBN,
    RBM,
    DoubledRBM,
    ais_log_partition,
    contrastive_divergence,
    dbm_loss,
    expected_divergence,
    greedy,
    law,
    layerwise,
    log_partition,
    persistent_ascent,
    pseudo_log_likelihood,
    spectral_gap,
    states,
    tables,
    tied_layer,
    tied_net,
)
from genlab.models import LowerBound, Unnormalized, place
from genlab.train import fit


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def random_weights(model, scale: float = 1.0, seed: int = 3):
    """Weights that matter, in float64."""
    g = seeded(seed)
    with torch.no_grad():
        for w in model.double().parameters():
            size = scale if w.ndim == 2 else 0.5
            w.copy_(size * torch.randn(w.shape, generator=g, dtype=torch.float64))
    return model


def machine(d: int = 4, m: int = 3, scale: float = 1.0, seed: int = 3) -> RBM:
    return random_weights(RBM(d, m), scale, seed)


def joint(model: RBM) -> Tensor:
    """p(x, h) by the sum over all pairs, ``[2^d, 2^m]``."""
    d, m = model.W.shape
    x, h = states(d), states(m)
    energy = -(x @ model.W @ h.T) - (x @ model.b)[:, None] - h @ model.c
    return (-energy).flatten().softmax(0).reshape(len(x), len(h)).detach()


def some_law(n: int, seed: int = 4) -> Tensor:
    p = torch.rand(n, generator=seeded(seed), dtype=torch.float64) ** 3
    return p / p.sum()


def gradient(model, value: Tensor) -> Tensor:
    """All slopes of a number in one vector."""
    slopes = torch.autograd.grad(value, list(model.parameters()))
    return torch.cat([s.flatten() for s in slopes])


def bits_of_digits() -> tuple[Tensor, Tensor]:
    data = digits()
    return tuple((x.flatten(1) > 0.5).float() for x in (data.train, data.test))


# --- The restricted machine -----------------------------------------------------------------------


@pytest.mark.covers("S4-07")
@pytest.mark.proves("prop-rbm-free-energy")
@pytest.mark.parametrize(("d", "m"), [(4, 3), (3, 5), (1, 1)])
def test_the_free_energy_is_the_sum_over_the_hidden_states(d, m):
    model = machine(d, m)
    x, h = states(d), states(m)
    pairs = model.joint_energy(x[:, None].expand(-1, len(h), -1), h.expand(len(x), -1, -1))
    assert torch.allclose(model.energy(x), -(-pairs).logsumexp(1))
    assert torch.allclose(log_partition(model), (-pairs).flatten().logsumexp(0))
    assert torch.allclose(law(model), joint(model).sum(1))
    assert law(model).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.covers("S4-07")
def test_given_one_layer_the_units_of_the_other_are_independent():
    model, p = machine(), joint(machine())
    x, h = states(4), states(3)
    up, down = tables(model)
    assert torch.allclose(up, p / p.sum(1, keepdim=True))
    assert torch.allclose(down, (p / p.sum(0)).T)
    assert torch.allclose(model.hidden(x), up @ h)
    assert torch.allclose(model.visible(h), down @ x)


@pytest.mark.covers("S4-07")
@pytest.mark.proves("prop-rbm-sweep")
def test_a_sweep_keeps_the_law_and_is_in_detailed_balance():
    model = machine()
    up, down = tables(model)
    p, sweep = law(model), up @ down
    assert (p @ sweep - p).abs().max() < 1e-15
    flow = p[:, None] * sweep
    assert (flow - flow.T).abs().max() < 1e-16


@pytest.mark.covers("S4-07")
def test_a_sweep_moves_states_as_its_matrix_says(g):
    model = machine(3, 2)
    up, down = tables(model)
    start = torch.tensor([[1.0, 0.0, 1.0]]).double().expand(40_000, -1)
    for steps in (1, 3):
        x = model.gibbs(start, steps, generator=g)
        share = torch.bincount((x @ torch.tensor([4.0, 2, 1]).double()).long(), minlength=8) / 4e4
        p = torch.linalg.matrix_power(up @ down, steps)[5]
        assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()


def test_draws_come_from_the_law_whatever_the_coins_were(g):
    model = machine(3, 2)
    x = model.sample(40_000, steps=60, generator=g)
    assert x.dtype == torch.float64
    share = torch.bincount((x @ torch.tensor([4.0, 2, 1]).double()).long(), minlength=8) / 4e4
    p = law(model)
    assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()
    assert model.sample(0, generator=g).shape == (0, 3)
    assert RBM(3, 2).sample(2, steps=1, generator=g).dtype == torch.float32


def test_clamped_units_stay_and_the_others_follow_their_conditional(g):
    model = machine(3, 3)
    start = torch.tensor([[1.0, 0.0, 0.0]]).double().expand(40_000, -1)
    clamped = torch.tensor([True, False, False])
    x = model.gibbs(start, 60, clamped=clamped, generator=g)
    assert (x[:, 0] == 1).all()
    share = torch.bincount((2 * x[:, 1] + x[:, 2]).long(), minlength=4) / 4e4
    p = law(model).reshape(2, 4)[1]
    p = p / p.sum()
    assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()


def test_a_temperature_draws_from_the_energy_divided_by_it(g):
    model = machine(3, 2)
    start = torch.zeros(40_000, 3).double()
    x = model.gibbs(start, 60, temperature=2.5, generator=g)
    cool = copy.deepcopy(model)
    with torch.no_grad():
        for w in cool.parameters():
            w /= 2.5
    share = torch.bincount((x @ torch.tensor([4.0, 2, 1]).double()).long(), minlength=8) / 4e4
    p = law(cool)
    assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()


def test_log_z_is_the_same_from_either_side_and_in_blocks():
    wide, tall = machine(5, 3), RBM(3, 5).double()
    with torch.no_grad():
        tall.W.copy_(wide.W.T)
        tall.b.copy_(wide.c)
        tall.c.copy_(wide.b)
    assert torch.allclose(log_partition(wide), log_partition(tall))
    large = machine(40, 15, 0.3)  # 2^15 states in two blocks
    direct = (states(15) @ large.c) + torch.nn.functional.softplus(
        states(15) @ large.W.T + large.b
    ).sum(1)
    assert torch.allclose(log_partition(large), direct.logsumexp(0))


def test_an_unnormalised_model_stands_where_approximate_ones_do():
    assert isinstance(machine(), Unnormalized)
    assert place(RBM) == "explicit, approximate"
    assert place(DBM) == place(DBN) == "explicit, approximate"
    assert isinstance(DBM(2, 2, 2), LowerBound)


# --- Its gradient ---------------------------------------------------------------------------------


@pytest.mark.covers("S4-07")
@pytest.mark.proves("thm-boltzmann-gradient")
def test_the_gradient_is_correlations_in_the_data_less_those_in_dreams():
    model, data = machine(), some_law(16)
    nll = data @ model.energy(states(4)) + log_partition(model)
    W, b, c = torch.autograd.grad(nll, [model.W, model.b, model.c])
    x, h, p = states(4), states(3), joint(model)
    awake = data[:, None] * p / p.sum(1, keepdim=True)
    apart = awake - p
    assert torch.allclose(-W, x.T @ apart @ h)
    assert torch.allclose(-b, apart.sum(1) @ x)
    assert torch.allclose(-c, apart.sum(0) @ h)
    forever = gradient(model, expected_divergence(model, data, None))
    assert torch.allclose(forever, torch.cat([W.flatten(), b, c]))


@pytest.mark.covers("S4-07")
@pytest.mark.proves("prop-cd-bias")
def test_the_bias_of_cd_falls_with_k_by_the_rate_of_the_chain():
    model, data = machine(scale=1.5), some_law(16)
    truth = gradient(model, expected_divergence(model, data, None))
    bias = torch.stack(
        [
            (gradient(model, expected_divergence(model, data, k)) - truth).norm()
            for k in (1, 2, 3, 5, 8, 11)
        ]
    )
    assert bias[0] > 0.1 * truth.norm()
    assert (bias[1:] < bias[:-1]).all()
    assert bias[-1] < 1e-3 * bias[0]
    up, down = tables(model)
    rate = float((bias[-1] / bias[-2]) ** (1 / 3))
    assert rate == pytest.approx(1 - spectral_gap(up @ down), rel=0.01)


@pytest.mark.covers("S4-07")
@pytest.mark.parametrize("k", [1, 3])
def test_the_drawn_gradient_of_cd_is_the_expected_one_on_average(k, g):
    model, data = machine(3, 2), some_law(8)
    truth = gradient(model, expected_divergence(model, data, k))
    found = []
    for _ in range(300):
        x = states(3)[torch.multinomial(data, 200, replacement=True, generator=g)]
        value = contrastive_divergence(model, x, k, generator=g)
        assert value.shape == (200,)
        found.append(gradient(model, value.mean()))
    found = torch.stack(found)
    z = (found.mean(0) - truth) / (found.std(0) / math.sqrt(300))
    assert z.abs().max() < 4


@pytest.mark.covers("S4-07")
def test_persistent_chains_that_have_settled_give_the_exact_gradient_on_average(g):
    model, data = machine(3, 2), some_law(8)
    truth = gradient(model, expected_divergence(model, data, None))
    model.start_chains(500, generator=g)
    for _ in range(50):
        model.move_chains(generator=g)
    x = states(3)[torch.multinomial(data, 100_000, replacement=True, generator=g)]
    found = []
    for _ in range(300):
        before = model.chains
        part = x[torch.randint(len(x), (500,), generator=g)]
        value = contrastive_divergence(model, part, 8, persistent=True, generator=g)
        assert not torch.equal(before, model.chains)
        found.append(gradient(model, value.mean()))
    found = torch.stack(found)
    z = (found.mean(0) - truth) / (found.std(0) / math.sqrt(300))
    assert z.abs().max() < 4.5  # the rows of x are themselves draws


def test_the_written_out_step_is_that_of_sgd_on_the_divergence():
    x = torch.bernoulli(torch.full((10, 6), 0.4, dtype=torch.float64), generator=seeded(1))
    by_hand, by_slope = machine(6, 4), machine(6, 4)
    by_hand.start_chains(7, generator=seeded(2))
    chains = by_hand.chains.clone()
    persistent_ascent(by_hand, x, epochs=1, batch_size=10, lr=0.1, generator=seeded(5))

    g = seeded(5)  # the same draws: h of the chains, the order of the data, x of the chains
    h = torch.bernoulli(by_slope.hidden(chains), generator=g)
    torch.randperm(10, generator=g)
    fantasy = torch.bernoulli(by_slope.visible(h), generator=g)
    assert torch.equal(fantasy, by_hand.chains)
    (by_slope.energy(x).mean() - by_slope.energy(fantasy).mean()).backward()
    for a, b in zip(by_hand.parameters(), by_slope.parameters(), strict=True):
        assert torch.allclose(a, b - 0.1 * b.grad)


@pytest.fixture(scope="module")
def learnt():
    """A machine that has learnt the digits by PCD-1, with its data."""
    train, test = bits_of_digits()
    g = seeded(0)
    model = RBM(64, 100, generator=g)
    persistent_ascent(model, train, epochs=20, generator=g)
    return model, train, test


@pytest.mark.covers("S4-07")
def test_persistent_learning_climbs_the_exact_likelihood(g):
    train, _ = bits_of_digits()
    x = train[:, 24:34]  # ten pixels of two rows
    model = RBM(10, 8, generator=g)
    model.start_chains(50, generator=g)

    def nll() -> float:
        return float((model.energy(x).mean() + log_partition(model)).detach())

    heights = [nll()]
    for _ in range(3):
        persistent_ascent(model, x, epochs=10, lr=0.1, generator=g)
        heights.append(nll())
    assert heights[1] < heights[0] - 3
    assert heights[3] < heights[1]
    shares = x.mean(0).clamp(1e-6, 1 - 1e-6)
    independent = -(torch.xlogy(shares, shares) + torch.xlogy(1 - shares, 1 - shares)).sum()
    assert heights[3] < independent - 0.1


def test_cd_and_pcd_learn_through_the_common_loop_too(g):
    truth = machine(5, 3)
    data = truth.sample(1000, steps=100, generator=g)

    def nll(model: RBM) -> float:
        return float((model.energy(data).mean() + log_partition(model)).detach())

    for persistent in (False, True):
        model = RBM(5, 3, generator=g).double()
        before = nll(model)
        model.start_chains(100, generator=g)
        loss = partial(_loss, persistent=persistent)
        fit(model, loss, data, steps=150, lr=0.04, generator=g, progress=False)
        assert before - nll(model) > 0.8 * (before - nll(truth)), persistent


def _loss(model, x, g, persistent=False):
    return contrastive_divergence(model, x, persistent=persistent, generator=g)


@pytest.mark.covers("S4-07")
def test_an_rbm_of_digits_predicts_each_pixel_from_the_others(learnt):
    model, _, test = learnt
    assert len(model.chains) == 10
    assert not model.chains.is_inference()
    assert pseudo_log_likelihood(model, test).mean() > -17.5
    shares = learnt[1].mean(0).clamp(1e-3, 1 - 1e-3)
    alone = (test * shares.log() + (1 - test) * (1 - shares).log()).sum(1).mean()
    assert alone < -24


def test_an_rbm_of_digits_fills_in_the_lower_half(learnt, g):
    model, train, test = learnt
    known = torch.arange(64) < 32
    start = torch.where(known, test, torch.bernoulli(torch.full_like(test, 0.5), generator=g))
    filled = model.gibbs(start, 100, clamped=known, generator=g)
    assert torch.equal(filled[:, :32], test[:, :32])
    right = (filled == test)[:, 32:].double().mean()
    shares = train.mean(0)
    blind = torch.where(test > 0.5, shares, 1 - shares)[:, 32:].mean()  # draws without the half
    assert right > blind + 0.05


def test_log_z_of_a_machine_of_digits_is_found_by_annealing(g):
    train, _ = bits_of_digits()
    model = RBM(64, 12, generator=g)
    persistent_ascent(model, train, epochs=10, generator=g)
    found = ais_log_partition(model, 100, 500, data=train, generator=g)
    assert abs(found.value - log_partition(model).item()) < 0.1


# --- Pseudo-likelihood ----------------------------------------------------------------------------


@pytest.mark.covers("S4-07")
def test_the_pseudo_likelihood_is_the_sum_of_exact_conditionals():
    model = machine()
    x, p = states(4), law(model).reshape(2, 2, 2, 2)
    total = torch.zeros(16, dtype=torch.float64)
    for i in range(4):
        total += (p / p.sum(i, keepdim=True)).log().flatten()
    assert torch.allclose(pseudo_log_likelihood(model, x), total)


def test_the_pseudo_likelihood_is_the_mean_of_scikit_learns_score(g):
    from sklearn.neural_network import BernoulliRBM

    model = machine(5, 3).float()
    theirs = BernoulliRBM(3, random_state=0)
    theirs.components_ = model.W.detach().T.numpy()
    theirs.intercept_hidden_ = model.c.detach().numpy()
    theirs.intercept_visible_ = model.b.detach().numpy()
    theirs.n_features_in_ = 5
    x = model.sample(4, steps=20, generator=g)
    scores = torch.from_numpy(theirs.score_samples(x.repeat(2000, 1).numpy())).reshape(2000, 4)
    for row, truth in enumerate(pseudo_log_likelihood(model, x)):
        laws.unbiased(scores[:, row], float(truth))


# --- The infinite net -----------------------------------------------------------------------------


@pytest.mark.covers("S4-08", "E53")
@pytest.mark.covers("E53")
@pytest.mark.proves("thm-rbm-infinite-net")
def test_the_deeper_the_tied_net_the_nearer_to_the_rbm():
    model = machine()
    p = law(model)
    far = [float(total_variation(tied_net(model, n), p)) for n in (1, 2, 4, 8, 12)]
    assert all(a > b for a, b in pairwise(far))
    assert far[-1] < 1e-4
    up, down = tables(model)
    rate = (far[-1] / far[-2]) ** 0.25
    assert rate == pytest.approx(1 - spectral_gap(up @ down), rel=0.02)
    assert tied_net(model, 3).sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.covers("S4-08", "S4-10")
@pytest.mark.proves("prop-complementary-prior")
def test_the_layers_above_are_a_prior_under_which_no_cause_explains_another_away():
    model = machine()
    up, down = tables(model)
    h = states(3)

    def posterior(prior: Tensor) -> Tensor:
        p = prior[:, None] * down
        return (p / p.sum(0)).T

    def dependence(p: Tensor) -> float:
        """How far p(h | x) is from the product of its margins, at the worst x."""
        one = p @ h
        product = (h * one[:, None] + (1 - h) * (1 - one[:, None])).prod(2)
        return float((p - product).abs().sum(1).max() / 2)

    complementary = joint(model).sum(0)  # the law of h under endlessly many tied layers
    assert torch.allclose(posterior(complementary), up)
    assert dependence(posterior(complementary)) < 1e-12
    coins = torch.full((8,), 1 / 8, dtype=torch.float64)
    assert dependence(posterior(coins)) > 0.03


@pytest.mark.covers("E53")
def test_with_other_weights_in_each_layer_it_is_another_law():
    last, p = machine(), torch.full((8,), 1 / 8, dtype=torch.float64)
    for seed in range(100, 150):
        up, down = tables(machine(seed=seed))
        p = p @ down @ up
    untied = p @ tables(last)[1]
    assert total_variation(untied, law(last)) > 0.05
    assert total_variation(tied_net(last, 50), law(last)) < 1e-12


# --- Deep belief nets -----------------------------------------------------------------------------


def exact_bound(model: DBN, x: Tensor) -> Tensor:
    """E_q[log p(x, h) − log q(h | x)] of a net of two machines, by the sum over h."""
    below, top = model.machines
    h = states(len(below.c))
    a, b = x @ below.W + below.c, h @ below.W.T + below.b
    softplus = torch.nn.functional.softplus
    log_q = a @ h.T - softplus(a).sum(1, keepdim=True)
    log_p = (b @ x.T - softplus(b).sum(1, keepdim=True)).T - top.energy(h) - log_partition(top)
    return (log_q.exp() * (log_p - log_q)).sum(1).detach()


def stack(*sizes: int, seed: int = 3) -> DBN:
    return DBN([machine(d, m, seed=seed + i) for i, (d, m) in enumerate(pairwise(sizes))])


@pytest.mark.covers("S4-09")
def test_the_law_of_a_deep_belief_net_is_that_of_its_top_carried_down():
    model = stack(3, 4, 2, 3)
    p = joint(model.top).sum(1)
    for below in reversed(model.machines[:-1]):
        p = p @ tables(below)[1]
    assert torch.allclose(model.law(), p)
    assert model.law().sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.covers("S4-09")
def test_draws_of_a_deep_belief_net_follow_its_law(g):
    model = stack(3, 4, 2)
    x = model.sample(40_000, steps=60, generator=g)
    share = torch.bincount((x @ torch.tensor([4.0, 2, 1]).double()).long(), minlength=8) / 4e4
    p = model.law()
    assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()
    assert model.sample(0, generator=g).shape == (0, 3)


@pytest.mark.covers("S4-09")
@pytest.mark.proves("prop-dbn-bound")
def test_the_bound_of_a_deep_belief_net_is_estimated_without_bias_and_below(g):
    model = stack(4, 3, 3)
    x = states(4)
    truth = exact_bound(model, x)
    laws.bounds_from_below(truth, model.law().log())
    draws = torch.stack([model.elbo(x, generator=g) for _ in range(2000)])
    for i in range(16):
        laws.unbiased(draws[:, i], float(truth[i]))
    assert model.elbo(x, 500, generator=g).std() < draws[0].std() + 10
    shift = model.elbo(x, log_z=0.0, generator=seeded(1)) - model.elbo(x, generator=seeded(1))
    assert torch.allclose(shift, log_partition(model.top).expand(16))


@pytest.mark.covers("S4-09", "S4-10")
@pytest.mark.proves("thm-dbn-tied")
def test_a_tied_layer_changes_nothing_and_the_bound_touches():
    below = machine()
    model = DBN([below, tied_layer(below)])
    assert torch.allclose(model.law(), law(below))
    laws.bounds_from_below(exact_bound(model, states(4)), law(below).log(), True)
    above = tied_layer(below)
    with torch.no_grad():
        above.W.zero_()
    assert torch.allclose(below.W, machine().W), "the copy shares no weights"


@pytest.mark.covers("S4-09")
@pytest.mark.proves("thm-dbn-greedy")
def test_while_the_second_layer_learns_the_bound_of_the_data_never_falls():
    data = some_law(16)
    below = machine()
    optimiser = torch.optim.SGD(below.parameters(), lr=0.5)
    for _ in range(30):
        optimiser.zero_grad()
        (data @ below.energy(states(4)) + log_partition(below)).backward()
        optimiser.step()
    model = DBN([below, tied_layer(below)])
    codes = data @ tables(below)[0]  # E_data q(h | x)
    bounds = [data @ exact_bound(model, states(4))]
    assert bounds[0] == pytest.approx(float(data @ law(below).log()), abs=1e-12)
    optimiser = torch.optim.SGD(model.top.parameters(), lr=0.5)
    for _ in range(40):
        for _ in range(10):
            optimiser.zero_grad()
            (codes @ model.top.energy(states(3)) + log_partition(model.top)).backward()
            optimiser.step()
        bounds.append(data @ exact_bound(model, states(4)))
    laws.never_goes_down([float(b) for b in bounds])
    assert bounds[-1] > bounds[0] + 0.002
    # The likelihood is above the bound, so above what one layer reached.
    assert data @ model.law().log() >= bounds[-1] > data @ law(below).log()


@pytest.mark.covers("S4-09")
def test_greedy_learning_stacks_machines_on_the_codes_of_those_below(g):
    seen = []

    def train(model, rows):
        seen.append((model.W.detach().clone(), rows.shape, rows.unique().tolist()))
        persistent_ascent(model, rows, epochs=1, generator=g)

    x, _ = bits_of_digits()
    x = x[:200].double()
    model = greedy(x, (10, 64, 5), train, generator=g)
    assert [tuple(m.W.shape) for m in model.machines] == [(64, 10), (10, 64), (64, 5)]
    assert [shape for _, shape, _ in seen] == [(200, 64), (200, 10), (200, 64)]
    assert all(values == [0.0, 1.0] for *_, values in seen)
    assert model.top.W.dtype == torch.float64
    assert torch.allclose(seen[1][0], model.machines[0].W.T), "the second began tied to the first"
    assert not torch.allclose(model.machines[1].W, model.machines[0].W.T), "and has learnt"
    assert model.codes(x, generator=g).shape == (200, 64)
    assert torch.equal(DBN([model.machines[0]]).codes(x), x)
    assert model.elbo(x, generator=g).shape == (200,)
    assert greedy(x.long(), (3,), lambda *_: None, generator=g).top.W.dtype == torch.float32


# --- Deep Boltzmann machines ----------------------------------------------------------------------


def deep(visible: int = 4, hidden: int = 3, top: int = 2, scale: float = 1.0) -> DBM:
    return random_weights(DBM(visible, hidden, top), scale)


def layers(model: DBM) -> Tensor:
    """p(x, h, t) from the energy as it is written, ``[2^d, 2^m, 2^t]``."""
    d, m = model.visible, len(model.machine.c)
    W, V = model.machine.W[:d], model.machine.W[d:]
    b, top = model.machine.b[:d], model.machine.b[d:]
    x, h, t = states(d), states(m), states(len(top))
    energy = -(x @ W @ h.T)[:, :, None] - (h @ V.T @ t.T)[None]
    energy = energy - (x @ b)[:, None, None] - (h @ model.machine.c)[:, None] - t @ top
    return (-energy).flatten().softmax(0).reshape(energy.shape).detach()


@pytest.mark.covers("S4-11")
@pytest.mark.proves("prop-dbm-is-rbm")
def test_a_deep_machine_is_a_restricted_one_of_which_a_part_is_never_seen():
    model = deep()
    p = layers(model)
    assert torch.allclose(model.law(), p.sum((1, 2)))
    assert model.law().sum() == pytest.approx(1, abs=1e-12)


@pytest.mark.covers("S4-11")
@pytest.mark.proves("prop-dbm-bound")
def test_mean_field_bounds_the_log_probability_and_goes_up_with_each_sweep():
    model = deep(scale=1.5)
    x, log_p = states(4), model.law().log()
    bounds = torch.stack([model.elbo(x, sweeps=n) for n in (1, 2, 3, 5, 10, 100)])
    for bound in bounds:
        laws.bounds_from_below(bound, log_p)
    assert (bounds[1:] >= bounds[:-1] - 1e-12).all()
    assert (log_p - bounds[-1]).max() > 1e-3, "a factorised q misses something here"
    h, t = model.mean_field(x)
    d = model.visible
    W, V = model.machine.W[:d], model.machine.W[d:]
    assert torch.allclose(h, (x @ W + t @ V + model.machine.c).sigmoid())
    assert torch.allclose(t, (h @ V.T + model.machine.b[d:]).sigmoid())
    # The bound is log p(x) − KL(q ‖ posterior).
    p, i = layers(model)[5], states(3)
    posterior = (p / p.sum()).flatten()
    q_h = (i * h[5] + (1 - i) * (1 - h[5])).prod(1)
    j = states(2)
    q_t = (j * t[5] + (1 - j) * (1 - t[5])).prod(1)
    gap = kl((q_h[:, None] * q_t).flatten().detach(), posterior)
    assert (log_p - bounds[-1])[5].item() == pytest.approx(float(gap), abs=1e-10)


def test_without_a_top_that_speaks_mean_field_is_exact():
    model = deep()
    with torch.no_grad():
        model.machine.W[model.visible :] = 0
    laws.bounds_from_below(model.elbo(states(4)), model.law().log(), True)
    shift = model.elbo(states(4), log_z=0.0) - model.elbo(states(4))
    assert torch.allclose(shift, log_partition(model.machine).expand(16))


@pytest.mark.covers("S4-11", "E45")
@pytest.mark.covers("E45")
def test_the_gradient_is_that_of_the_bound_with_settled_chains_for_the_model(g):
    """The data's term by mean field, without noise; the model's by chains, judged by z-scores."""
    model, data = deep(3, 2, 2), states(3)[[1, 6, 6, 7]]
    h, t = model.mean_field(data, 100)
    value = model.machine.joint_energy(torch.cat([data, t], 1), h).mean()
    truth = gradient(model, value + log_partition(model.machine))
    # The same by differences of the bound itself, with q held at its best.
    for name, w in model.named_parameters():
        moved = []
        for step in (1e-5, -1e-5):
            other = copy.deepcopy(model)
            with torch.no_grad():
                dict(other.named_parameters())[name].view(-1)[0] += step
            moved.append(float(other.elbo(data, sweeps=1000).mean()))
        slope = (moved[1] - moved[0]) / 2e-5
        own = torch.autograd.grad(
            model.machine.joint_energy(torch.cat([data, t], 1), h).mean()
            + log_partition(model.machine),
            w,
        )[0]
        assert slope == pytest.approx(float(own.view(-1)[0]), abs=1e-6)
    model.machine.start_chains(1000, generator=g)
    model.machine.move_chains(50, generator=g)
    found = []
    for _ in range(200):
        value = dbm_loss(model, data, 10, sweeps=100, generator=g)
        assert value.shape == (4,)
        found.append(gradient(model, value.mean()))
    found = torch.stack(found)
    z = (found.mean(0) - truth) / (found.std(0) / math.sqrt(200)).clamp_min(1e-12)
    assert z.abs().max() < 4


@pytest.mark.covers("S4-11")
def test_a_deep_machine_learns_the_bound_of_its_data(g):
    data = torch.tensor([[0.0, 0, 1, 1], [1, 1, 0, 0], [1, 1, 1, 1]]).repeat(40, 1)
    model = DBM(4, 4, 3, generator=g)
    model.machine.start_chains(100, generator=g)
    before = model.elbo(data).mean()
    loss = lambda m, x, g: dbm_loss(m, x, generator=g)
    fit(model, loss, data, steps=300, lr=0.03, generator=g, progress=False)
    after = model.elbo(data).mean()
    assert after > before + 0.5
    log_p = model.law().log()[[3, 12, 15]].mean()
    assert after <= log_p + 1e-5


def test_the_z_of_a_deep_machine_is_annealed_as_that_of_a_restricted_one(g):
    model = deep(5, 4, 3)
    found = ais_log_partition(model.machine, 500, 200, generator=g)
    assert abs(found.value - log_partition(model.machine).item()) < 4 * found.error < 0.1
    apart = model.elbo(states(5), log_z=found.value) - model.elbo(states(5))
    assert (apart.abs() < 0.1).all()


@pytest.mark.covers("S4-11")
def test_the_law_of_the_middle_is_the_geometric_mean_of_the_two_parts():
    first, second = DoubledRBM(4, 3, "visible"), DoubledRBM(3, 2, "hidden")
    for model, seed in ((first, 1), (second, 2)):
        random_weights(model, seed=seed)
    parts = iter([first, second])

    def train(model, _):
        model.load_state_dict({**next(parts).state_dict()})

    x = torch.zeros(5, 4, dtype=torch.float64)
    model = layerwise(x, 3, 2, train, generator=seeded(0))
    x, t = states(4)[:, None].expand(-1, 4, -1), states(2).expand(16, -1, -1)
    whole = model.machine.hidden(torch.cat([x, t], -1)).logit()
    below, above = first.hidden(x).logit(), second.visible(t).logit()
    assert torch.allclose(whole, (below + above) / 2)


@pytest.mark.parametrize("side", ["visible", "hidden"])
def test_a_doubled_machine_is_one_with_each_weight_twice(side):
    model = random_weights(DoubledRBM(3, 2, side))
    n, m = (2, 1) if side == "visible" else (1, 2)
    twice = RBM(3 * n, 2 * m).double()
    with torch.no_grad():
        twice.W.copy_(model.W.repeat(n, m))
        twice.b.copy_(model.b.repeat(n))
        twice.c.copy_(model.c.repeat(m))
    x, h = states(3), states(2)
    assert torch.allclose(model.energy(x), twice.energy(x.repeat(1, n)))
    assert torch.allclose(model.hidden(x), twice.hidden(x.repeat(1, n))[:, :2])
    assert torch.allclose(model.visible(h), twice.visible(h.repeat(1, m))[:, :3])


@pytest.mark.covers("S4-11")
def test_a_layerwise_start_is_better_than_a_random_one(g):
    train, _ = bits_of_digits()
    x = train[:, 24:34]

    def cd(model, rows):
        fit(model, _loss, rows, steps=300, lr=0.02, generator=g, progress=False)

    started = layerwise(x, 6, 4, cd, generator=g)
    random = DBM(10, 6, 4, generator=g)
    assert started.elbo(x).mean() > random.elbo(x).mean() + 0.5


@pytest.mark.covers("S4-11")
def test_inpainting_keeps_what_is_known_and_draws_the_rest_from_its_conditional(g):
    model = deep(3, 3, 2)
    x = torch.tensor([[1.0, 0.0, 0.5]]).double().expand(40_000, -1)
    known = torch.tensor([True, False, False])
    filled = model.inpaint(x, known, 60, generator=g)
    assert filled.shape == (40_000, 3)
    assert (filled[:, 0] == 1).all()
    share = torch.bincount((2 * filled[:, 1] + filled[:, 2]).long(), minlength=4) / 4e4
    p = model.law().reshape(2, 4)[1]
    p = p / p.sum()
    assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()
    row = torch.tensor([[True, True, False]]).expand(40_000, -1)
    assert (model.inpaint(x, row, 2, generator=g)[:, :2] == x[:, :2]).all()


def test_draws_of_a_deep_machine_follow_its_law(g):
    model = deep(3, 2, 2)
    x = model.sample(40_000, steps=60, generator=g)
    share = torch.bincount((x @ torch.tensor([4.0, 2, 1]).double()).long(), minlength=8) / 4e4
    p = model.law()
    assert ((share - p).abs() < 4 * (p * (1 - p) / 4e4).sqrt()).all()


# --- Numbers and bad input ------------------------------------------------------------------------


MODELS = {
    "RBM": lambda: RBM(4, 3, generator=seeded(0)),
    "DBN": lambda: DBN([RBM(4, 3, generator=seeded(0)), RBM(3, 2, generator=seeded(1))]),
    "DBM": lambda: DBM(4, 3, 2, generator=seeded(0)),
}


@pytest.mark.parametrize("name", MODELS)
def test_draws_depend_on_the_generator_alone_and_have_the_dtype_of_the_weights(name, g):
    model = MODELS[name]()
    before = torch.get_rng_state()
    x = laws.speaks_sampler(model, 9, generator=g)
    assert torch.equal(before, torch.get_rng_state())
    assert set(x.unique().tolist()) <= {0.0, 1.0}
    assert x.dtype == torch.float32
    assert model.double().sample(2, steps=1, generator=g).dtype == torch.float64
    with pytest.raises(ValueError, match="n >= 0"):
        model.sample(-1)


@pytest.mark.parametrize("name", MODELS)
def test_the_bound_or_energy_has_one_value_a_row_in_the_dtype_of_the_weights(name):
    model = MODELS[name]()
    value = model.energy if name == "RBM" else model.elbo
    x = torch.tensor([[0, 1, 1, 0], [1, 1, 1, 1]])
    assert value(x).shape == (2,)
    assert value(x).dtype == torch.float32
    assert value(x[:0]).shape == (0,)
    model.double()
    assert value(x.double()).dtype == value(x).dtype == torch.float64


@pytest.mark.parametrize("name", MODELS)
def test_what_is_no_bit_is_refused_with_its_share(name):
    model = MODELS[name]()
    value = model.energy if name == "RBM" else model.elbo
    with pytest.raises(ValueError, match=r"got 12\.5 % .* Threshold them"):
        value(torch.tensor([[0.0, 1.0, 0.3, 0.0], [1.0, 1.0, 1.0, 1.0]]))
    with pytest.raises(ValueError, match=r"shape \(batch, 4\), got \(2, 3\)"):
        value(torch.zeros(2, 3))
    with pytest.raises(ValueError, match="NaN"):
        value(torch.tensor([[0.0, 1.0, math.nan, 0.0]]))


@pytest.mark.parametrize(
    ("call", "kind", "sentence"),
    [
        (lambda: RBM(4, 0), ValueError, "hidden as an integer >= 1, got 0"),
        (lambda: RBM(0, 4), ValueError, "visible as an integer >= 1, got 0"),
        (lambda: DBM(4, 3, 0), ValueError, "top as an integer >= 1, got 0"),
        (lambda: DBM(4, 0, 3), ValueError, "hidden as an integer >= 1, got 0"),
        (lambda: DBN([]), ValueError, "one RBM or more, .* got none"),
        (lambda: DBN([RBM(4, 3), RBM(4, 3)]), ValueError, "4 visible .* 3 hidden .* as many"),
        (lambda: greedy(torch.zeros(2, 4), (), print), ValueError, "one RBM or more"),
        (
            lambda: contrastive_divergence(RBM(2, 2), torch.zeros(1, 2), 0),
            ValueError,
            "k as an integer >= 1, got 0",
        ),
        (
            lambda: contrastive_divergence(RBM(2, 2), torch.zeros(1, 2), persistent=True),
            ValueError,
            r"chains have not been started\. .* start_chains\(100",
        ),
        (lambda: dbm_loss(DBM(2, 2, 2), torch.zeros(1, 2)), ValueError, "have not been started"),
        (lambda: RBM(2, 2).start_chains(0), ValueError, "n as an integer >= 1, got 0"),
        (lambda: RBM(2, 2).gibbs(torch.zeros(1, 2), 0), ValueError, "steps as an integer >= 1"),
        (
            lambda: RBM(2, 2).gibbs(torch.zeros(1, 2), temperature=0.0),
            ValueError,
            "temperature > 0, got 0",
        ),
        (lambda: log_partition(RBM(21, 21)), ValueError, "at most 20 .* ais_log_partition"),
        (lambda: law(RBM(21, 2)), ValueError, "at most 20 .* ais_log_partition"),
        (lambda: tables(RBM(11, 10)), ValueError, r"at most 20 units in all .* 11 \+ 10\. .*gibbs"),
        (lambda: tied_net(RBM(2, 2), 0), ValueError, "pairs as an integer >= 1, got 0"),
        (
            lambda: expected_divergence(RBM(2, 2), torch.ones(3) / 3, 1),
            ValueError,
            r"over the 4 states of x, got shape \(3,\)",
        ),
        (
            lambda: expected_divergence(RBM(2, 2), torch.ones(4) / 4, 0),
            ValueError,
            "k as an integer >= 1, got 0",
        ),
        (lambda: DoubledRBM(2, 2, "top"), ValueError, "'visible' or 'hidden', got 'top'"),
        (
            lambda: persistent_ascent(DoubledRBM(2, 2, "hidden"), torch.zeros(1, 2), epochs=1),
            TypeError,
            "written out here, got a DoubledRBM",
        ),
        (
            lambda: persistent_ascent(RBM(2, 2), torch.zeros(1, 2), epochs=0),
            ValueError,
            "epochs as an integer >= 1, got 0",
        ),
        (
            lambda: persistent_ascent(RBM(2, 2), torch.zeros(1, 2), epochs=1, lr=-1.0),
            ValueError,
            "lr > 0 and finite, got -1",
        ),
        (
            lambda: persistent_ascent(RBM(2, 2), torch.full((1, 2), 0.5), epochs=1),
            ValueError,
            "got 100 % of the entries",
        ),
    ],
)
def test_bad_input_is_refused_in_a_sentence(call, kind, sentence):
    with pytest.raises(kind, match=sentence):
        call()
