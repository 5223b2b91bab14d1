"""Chapter 04: belief nets and the Helmholtz machine, each theorem as a test."""

import itertools
import math

import pytest
import torch
from scipy.stats import chisquare
from torch import Tensor, nn

from genlab import data, em, laws
from genlab.divergences import kl
from genlab.early.belief import SigmoidBeliefNet, coins, learning_gradient, log_bernoulli
from genlab.early.explaining import Explained, explaining_away, noisy_or
from genlab.early.helmholtz import HelmholtzMachine
from genlab.early.meanfield import belief_bound, factorised, mean_field
from genlab.early.reweighted import importance_log_prob, reweighted_wake_sleep_loss
from genlab.early.states import states
from genlab.early.wake_sleep import (
    exact_sleep,
    exact_wake,
    free_energies,
    sleep_loss,
    wake_loss,
    wake_sleep_loss,
)
from genlab.models import capabilities, empirical_law
from genlab.train import fit

DOUBLE = torch.float64


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def shaken(module: nn.Module, scale: float = 1.0, seed: int = 3) -> nn.Module:
    """In double precision, with all weights and biases drawn from N(0, scale²)."""
    g = seeded(seed)
    module = module.double()
    with torch.no_grad():
        for w in module.parameters():
            w.copy_(scale * torch.randn(w.shape, dtype=DOUBLE, generator=g))
    return module


@pytest.fixture(params=[[3], [3, 2]], ids=["one layer", "two layers"])
def net(request) -> SigmoidBeliefNet:
    return shaken(SigmoidBeliefNet(4, request.param), 1.5)


@pytest.fixture(params=[[3], [2, 2]], ids=["one layer", "two layers"])
def machine(request) -> HelmholtzMachine:
    return shaken(HelmholtzMachine(4, request.param))


def gradients(value: Tensor, weights) -> Tensor:
    """The gradient in all weights as one vector, 0 for those on which the value does not depend."""
    weights = list(weights)
    found = torch.autograd.grad(value, weights, allow_unused=True, retain_graph=True)
    pairs = zip(found, weights, strict=True)
    return torch.cat([(torch.zeros_like(w) if g is None else g).flatten() for g, w in pairs])


# --- Sigmoid belief net ---------------------------------------------------------------------------


@pytest.mark.covers("S4-03", "S4-05", "E51")
@torch.no_grad()
def test_the_probabilities_of_a_belief_net_sum_to_one(net):
    laws.sums_to_one(net, states(4))
    z = net.states()
    assert float(net.log_prior(z).exp().sum().detach()) == pytest.approx(1, abs=1e-12)


@pytest.mark.covers("S4-03")
def test_the_joint_law_is_the_product_of_logistic_regressions():
    net = shaken(SigmoidBeliefNet(2, [2, 1]))
    x, z = torch.tensor([1.0, 0.0]).double(), torch.tensor([0.0, 1.0, 1.0]).double()
    low, high = net.layers
    p_x = (low.weight @ z[:2] + low.bias).sigmoid()
    p_z1 = (high.weight @ z[2:] + high.bias).sigmoid()
    by_hand = p_x[0] * (1 - p_x[1]) * (1 - p_z1[0]) * p_z1[1] * net.top.sigmoid()[0]
    assert torch.allclose(net.log_joint(x, z).exp(), by_hand, rtol=1e-12)


def test_the_table_holds_the_joint_law_of_every_state(net):
    x, z = states(4), net.states()
    each = net.log_joint(x[:, None].expand(-1, len(z), -1), z.expand(len(x), -1, -1))
    assert torch.allclose(net.table(x), each, atol=1e-12)
    posterior = net.posterior(x)
    assert torch.allclose(posterior, each.exp() / each.exp().sum(1, keepdim=True), atol=1e-12)


@pytest.mark.covers("S4-03")
def test_ancestral_draws_have_the_frequencies_of_the_joint_law(net, g):
    n, x, z = 40_000, *net.dream(40_000, generator=g)
    code = (torch.cat([x, z], 1) @ 2.0 ** torch.arange(x.shape[1] + z.shape[1]).double()).long()
    everything = states(x.shape[1] + z.shape[1])
    place = (everything @ 2.0 ** torch.arange(everything.shape[1]).double()).long()
    p = net.log_joint(everything[:, :4], everything[:, 4:]).exp().detach()
    seen = code.bincount(minlength=len(p))[place].double()
    often = n * p > 5
    observed = [*seen[often].tolist(), float(seen[~often].sum())]
    expected = [*(n * p[often]).tolist(), float(n * p[~often].sum())]
    assert chisquare(observed, expected, sum_check=False).pvalue > 1e-4
    assert torch.equal(
        net.sample(5, generator=seeded()), net.dream(5, generator=seeded())[0].long()
    )


@pytest.mark.proves("thm-belief-gradient")
@pytest.mark.covers("S4-03")
def test_the_learning_gradient_is_the_mean_error_times_the_parent(net):
    x = states(4)[[1, 6, 15]]
    rule = learning_gradient(net, x)
    net.log_prob(x).mean().backward()
    names = dict(net.named_parameters())
    assert set(rule) == set(names)
    for name, weight in names.items():
        assert torch.allclose(rule[name], weight.grad, atol=1e-12), name


@pytest.mark.proves("thm-belief-gradient")
def test_the_gradient_of_the_likelihood_is_the_mean_of_that_of_the_joint_law(net):
    x = states(4)[[5]]
    weights = list(net.parameters())
    expected = gradients((net.posterior(x).detach() * net.table(x)).sum(), weights)
    assert torch.allclose(gradients(net.log_prob(x).sum(), weights), expected, atol=1e-12)


def test_log_bernoulli_and_coins_agree_with_torch(g):
    logits = torch.tensor([[-40.0, -1.0, 0.0, 2.0, 40.0]]).double()
    x = torch.tensor([[0.0, 1.0, 0.0, 1.0, 1.0]]).double()
    right = torch.distributions.Bernoulli(logits=logits).log_prob(x).sum(-1)
    assert torch.allclose(log_bernoulli(logits, x), right, atol=1e-12)
    draws = coins(logits.expand(20_000, -1), generator=g)
    assert draws.dtype == DOUBLE
    for unit in (1, 3):
        laws.unbiased(draws[:, unit], float(logits[0, unit].sigmoid()))
    assert draws[:, [0, 4]].mean(0).tolist() == [0, 1]


def test_belief_nets_refuse_what_does_not_fit_in_a_sentence():
    net = SigmoidBeliefNet(3, [2])
    with pytest.raises(ValueError, match=r"got 33\.3 % of the entries between or beyond"):
        net.log_prob(torch.tensor([[0.0, 1.0, 0.5]]))
    with pytest.raises(ValueError, match=r"\(batch, 3\), got \(1, 4\)"):
        net.log_prob(torch.zeros(1, 4))
    with pytest.raises(ValueError, match=r"at most 20 .* got 21: 2\^21 .* importance_log_prob"):
        SigmoidBeliefNet(3, [11, 10]).log_prob(torch.zeros(1, 3))
    for hidden in ([], None, 4):
        with pytest.raises(ValueError, match="one hidden layer or more"):
            SigmoidBeliefNet(3, hidden)
    with pytest.raises(ValueError, match="units of a hidden layer as an integer >= 1, got 0"):
        SigmoidBeliefNet(3, [4, 0])
    with pytest.raises(ValueError, match="visible as an integer >= 1"):
        SigmoidBeliefNet(0, [4])


def test_the_generator_alone_decides_the_weights_of_net_and_machine():
    before = torch.get_rng_state()
    for cls in (SigmoidBeliefNet, HelmholtzMachine):
        one, same, other = (cls(4, [3, 2], generator=seeded(k)) for k in (1, 1, 2))
        weights = [torch.cat([w.flatten() for w in m.parameters()]) for m in (one, same, other)]
        assert torch.equal(weights[0], weights[1])
        assert not torch.equal(weights[0], weights[2])
        other.load_state_dict(one.state_dict())
        assert torch.equal(one.sample(9, generator=seeded()), other.sample(9, generator=seeded()))
    assert torch.equal(before, torch.get_rng_state())


# --- Explaining away ------------------------------------------------------------------------------


@pytest.mark.covers("S4-10", "E54")
def test_explaining_away_in_numbers_goes_near_to_the_prior_and_not_to_it():
    told = explaining_away(prior=0.1, strength=0.9, leak=0.01)
    assert isinstance(told, Explained)
    assert [round(p, 4) for p in told] == [0.1, 0.505, 0.1088]
    assert told.prior < told.given_effect_and_other < told.given_effect


@pytest.mark.proves("prop-explaining-away")
@pytest.mark.covers("S4-10", "E54")
@pytest.mark.parametrize(("prior", "strength", "leak"), [(0.1, 0.9, 0.01), (0.3, 0.5, 0.2)])
def test_given_the_effect_the_causes_of_a_noisy_or_are_negatively_correlated(prior, strength, leak):
    z = states(2)
    effect = noisy_or(z, strength, leak)
    # The odds ratio of the causes, given the effect, is below 1 by exactly this.
    minus = (1 - leak) * strength**2
    assert float(effect[3] * effect[0] - effect[1] * effect[2]) == pytest.approx(-minus, abs=1e-12)
    told = explaining_away(prior, strength, leak)
    assert prior < told.given_effect_and_other < told.given_effect


@pytest.mark.proves("prop-explaining-away")
def test_a_cause_that_is_certain_to_bring_the_effect_gives_the_prior_back():
    assert explaining_away(0.1, 1.0, 0.01).given_effect_and_other == pytest.approx(0.1, abs=1e-12)


@pytest.mark.covers("E54")
def test_a_belief_net_with_positive_weights_explains_away():
    net = SigmoidBeliefNet(1, [2]).double()
    with torch.no_grad():
        net.layers[0].weight.fill_(6.0)
        net.layers[0].bias.fill_(-4.0)
        net.top.fill_(-2.0)
    q = net.posterior(torch.ones(1, 1))[0].reshape(2, 2)
    assert q[1, 1] / q[1].sum() < q[:, 1].sum()  # P(C | A, B) < P(C | A)
    prior = net.log_prior(states(2)).exp().detach().reshape(2, 2)
    assert torch.allclose(prior, prior.sum(1, keepdim=True) * prior.sum(0))


def test_noisy_or_by_hand_and_its_refusals():
    z = torch.tensor([1.0, 0.0, 1.0]).double()
    value = noisy_or(z, torch.tensor([0.5, 0.9, 0.2]), leak=0.1)
    assert float(value) == pytest.approx(1 - 0.9 * 0.5 * 0.8)
    with pytest.raises(ValueError, match=r"a strength as a probability from 0 to 1, got 1\.5"):
        noisy_or(z, 1.5)
    with pytest.raises(ValueError, match="a leak as a probability"):
        noisy_or(z, 0.5, -0.1)
    with pytest.raises(ValueError, match="a prior as a probability"):
        explaining_away(prior=2.0)
    with pytest.raises(ValueError, match="an effect that can appear"):
        explaining_away(strength=0.0, leak=0.0)


# --- Mean field -----------------------------------------------------------------------------------


@pytest.mark.proves("prop-belief-mean-field")
@pytest.mark.parametrize("seed", range(5))
@torch.no_grad()
def test_the_bound_is_below_that_of_the_factorised_law_for_any_means_and_slopes(net, seed):
    g, x = seeded(seed), states(4)[[3, 8]]
    H = sum(net.hidden)
    mean = torch.rand(2, H, dtype=DOUBLE, generator=g)
    slope = 2 * torch.rand(2, 4 + H - net.hidden[-1], dtype=DOUBLE, generator=g) - 0.5
    exact = em.elbo(net.table(x), factorised(mean, net.states()))
    laws.bounds_from_below(belief_bound(net, x, mean, slope), exact)
    laws.bounds_from_below(exact, net.log_prob(x))


@pytest.mark.proves("prop-belief-mean-field")
@torch.no_grad()
def test_where_the_weights_are_zero_the_bound_touches(g):
    net = SigmoidBeliefNet(4, [3]).double()
    nn.init.zeros_(net.layers[0].weight)
    x, mean = states(4)[[3]], net.top.sigmoid()[None]
    bound = belief_bound(net, x, mean, net.layers[0].bias.sigmoid()[None])
    laws.bounds_from_below(bound, net.log_prob(x), touching=True)


@torch.no_grad()
def test_mean_field_climbs_and_its_means_are_near_the_posterior_s(net):
    x = states(4)
    found = mean_field(net, x)
    log_p, H = net.log_prob(x), sum(net.hidden)
    half = torch.full((16, 4 + 2 * H), 0.5, dtype=DOUBLE)
    start = belief_bound(net, x, half[:, :H], half[:, : 4 + H - net.hidden[-1]])
    laws.bounds_from_below(found.bound, log_p)
    assert (found.bound > start).all()
    assert (log_p - found.bound).mean() < 0.35 * (log_p - start).mean()


# Saul, Jaakkola and Jordan's experiment: 2, 4 and 6 units, all weights U(-1, 1), x = 0.
@torch.no_grad()
def test_mean_field_is_within_two_per_cent_on_random_small_nets():
    relative, uniform, g = [], [], seeded(7)
    x = torch.zeros(1, 6, dtype=DOUBLE)
    for _ in range(25):
        net = SigmoidBeliefNet(6, [4, 2]).double()
        with torch.no_grad():
            for w in net.parameters():
                w.uniform_(-1, 1, generator=g)
        log_p = float(net.log_prob(x))
        relative.append(float(mean_field(net, x).bound) / log_p - 1)
        flat = torch.full((1, 64), 1 / 64, dtype=DOUBLE)
        uniform.append(float(em.elbo(net.table(x), flat)) / log_p - 1)
    assert min(relative) > 0
    assert sum(relative) / 25 < 0.02
    assert sum(uniform) / 25 > 3 * sum(relative) / 25


def test_mean_field_refuses_what_does_not_fit():
    net = SigmoidBeliefNet(3, [2])
    half = torch.full((1, 3), 0.5)
    with pytest.raises(ValueError, match=r"means and slopes of shape \(1, 2\) and \(1, 3\)"):
        belief_bound(net, torch.ones(1, 3), half, half)
    with pytest.raises(ValueError, match="zeros and ones"):
        mean_field(net, torch.full((1, 3), 0.5))
    with pytest.raises(ValueError, match="steps as an integer >= 1, got 0"):
        mean_field(net, torch.ones(1, 3), steps=0)


# --- Helmholtz machine ----------------------------------------------------------------------------


@pytest.mark.covers("S4-04", "E51")
@torch.no_grad()
def test_both_halves_are_laws_and_neither_inverts_the_other(machine, g):
    x = states(4)
    assert float(machine.generative.log_prob(x).exp().sum()) == pytest.approx(1, abs=1e-12)
    assert torch.allclose(machine.table(x).exp().sum(1), torch.ones(16, dtype=DOUBLE), atol=1e-12)
    back = machine.generative.layers[0](
        machine.infer(x, generator=g)[:, : machine.generative.hidden[0]]
    )
    assert not torch.equal(coins(back, generator=g), x)
    assert capabilities(machine) == ("Sampler", "LowerBound")


def test_the_recognition_table_is_the_product_of_its_layers():
    machine = shaken(HelmholtzMachine(2, [1, 1]))
    first, second = machine.recognition
    x = torch.tensor([[1.0, 0.0]]).double()
    p1 = first(x)[0, 0].sigmoid()
    p2 = [second(torch.tensor([z]).double())[0].sigmoid() for z in (0.0, 1.0)]
    by_hand = [(1 - p1) * (1 - p2[0]), (1 - p1) * p2[0], p1 * (1 - p2[1]), p1 * p2[1]]
    assert torch.allclose(machine.table(x)[0].exp(), torch.stack(by_hand), atol=1e-12)


def test_inference_draws_from_the_recognition_table(machine, g):
    n, x = 20_000, states(4)[[9]]
    z = machine.infer(x.expand(n, -1), generator=g)
    q = machine.table(x)[0].exp().detach()
    code = (z @ 2.0 ** torch.arange(z.shape[1] - 1, -1, -1).double()).long()
    seen = code.bincount(minlength=len(q)).double()
    often = n * q > 5
    observed = [*seen[often].tolist(), float(seen[~often].sum())]
    expected = [*(n * q[often]).tolist(), float(n * q[~often].sum()) + 1e-9]
    assert chisquare(observed, expected, sum_check=False).pvalue > 1e-4


@pytest.mark.proves("thm-two-free-energies")
@pytest.mark.covers("S4-04", "S4-25")
def test_both_free_energies_are_above_the_surprise_by_the_two_divergences(machine):
    x = states(4)
    surprise, forward, reverse = free_energies(machine, x)
    p, q = machine.generative.posterior(x), machine.table(x).exp()
    assert torch.allclose(surprise, -machine.generative.log_prob(x), atol=1e-12)
    assert torch.allclose(forward, surprise + kl(q, p), atol=1e-10)
    assert torch.allclose(reverse, surprise + kl(p, q), atol=1e-10)
    for bound in (forward, reverse):
        laws.bounds_from_below(-bound.detach(), -surprise.detach())


@torch.no_grad()
def test_the_sampled_bound_is_unbiased(machine, g):
    x = states(4)[[6]]
    draws = machine.elbo(x.expand(5000, -1), generator=g)
    laws.unbiased(draws, -float(free_energies(machine, x).forward))


# --- Wake and sleep -------------------------------------------------------------------------------


@pytest.mark.proves("thm-wake")
@pytest.mark.covers("S4-17", "E31")
def test_wake_has_the_gradient_of_the_free_energy_in_theta_and_none_in_phi(machine):
    x, theta = states(4)[[2, 7]], list(machine.generative.parameters())
    wake = gradients(exact_wake(machine, x).sum(), theta)
    F = gradients(free_energies(machine, x).forward.sum(), theta)
    assert torch.allclose(wake, F, atol=1e-12)
    assert not gradients(exact_wake(machine, x).sum(), machine.recognition.parameters()).any()


@pytest.mark.proves("thm-sleep-dreams")
@pytest.mark.covers("S4-17", "S4-25", "E28", "E33")
def test_sleep_has_the_gradient_of_the_reverse_free_energy_on_dreams_in_phi(machine):
    x, phi = states(4), list(machine.recognition.parameters())
    p = machine.generative.log_prob(x).exp().detach()
    reverse = gradients(p @ free_energies(machine, x).reverse, phi)
    sleep = gradients(exact_sleep(machine), phi)
    assert torch.allclose(sleep, reverse, atol=1e-12)
    assert not gradients(exact_sleep(machine), machine.generative.parameters()).any()
    # averaged over other data than dreams it is another gradient
    flat = gradients(free_energies(machine, x).reverse.mean(), phi)
    assert (flat - reverse).abs().max() > 0.01


@pytest.mark.covers("S4-17")
def test_draws_of_both_phases_are_unbiased_for_the_sums(machine, g):
    x = states(4)[[11]]
    laws.unbiased(
        wake_loss(machine, x.expand(5000, -1), g).detach(), float(exact_wake(machine, x).detach())
    )
    laws.unbiased(sleep_loss(machine, 5000, g).detach(), float(exact_sleep(machine).detach()))
    both = wake_sleep_loss(machine, x.expand(5000, -1), g).detach()
    laws.unbiased(both, float((exact_wake(machine, x) + exact_sleep(machine)).detach()))


def test_each_half_gets_its_gradient_from_one_phase(machine):
    x = states(4)
    together = wake_sleep_loss(machine, x, seeded(1)).sum()
    g = seeded(1)
    wake, sleep = wake_loss(machine, x, g).sum(), sleep_loss(machine, 16, g).sum()
    theta, phi = machine.generative.parameters(), machine.recognition.parameters()
    theta, phi = list(theta), list(phi)
    assert torch.equal(gradients(together, theta), gradients(wake, theta))
    assert torch.equal(gradients(together, phi), gradients(sleep, phi))


def descended(loss, weights, steps: int = 200) -> None:
    """L-BFGS in double precision, to the optimum of a small smooth loss."""
    search = torch.optim.LBFGS(
        weights,
        max_iter=steps,
        tolerance_grad=1e-10,
        tolerance_change=1e-14,
        line_search_fn="strong_wolfe",
    )

    def closure() -> Tensor:
        search.zero_grad()
        value = loss()
        value.backward()
        return value.detach()

    search.step(closure)


@pytest.mark.proves("thm-sleep-dreams")
@pytest.mark.covers("S4-17", "S4-26")
def test_sleep_ends_at_the_posterior_averaged_over_the_dreams_that_look_alike():
    # One pixel: a logistic unit can say any chance for each of its two values.
    machine = shaken(HelmholtzMachine(1, [2]), 1.5)
    descended(lambda: exact_sleep(machine), machine.recognition.parameters())
    x = states(1)
    means = machine.generative.posterior(x) @ machine.generative.states()
    assert torch.allclose(machine.recognition[0](x).sigmoid(), means, atol=1e-6)
    # Four pixels: it cannot, and agrees with the dreams in the means of z and of z x.
    machine = shaken(HelmholtzMachine(4, [2]), 1.5)
    descended(lambda: exact_sleep(machine), machine.recognition.parameters())
    x = states(4)
    p = machine.generative.log_prob(x).exp()[:, None]
    off = machine.generative.posterior(x) @ machine.generative.states()
    off = off - machine.recognition[0](x).sigmoid()
    assert off.abs().max() > 0.01
    assert (p * off).sum(0).abs().max() < 1e-7
    assert (x.T @ (p * off)).abs().max() < 1e-7


@pytest.mark.covers("E27")
def test_a_wake_phase_that_minimises_the_log_likelihood_has_no_end():
    right, printed = (shaken(HelmholtzMachine(3, [2])) for _ in range(2))
    x = states(3)[[1, 6]]
    before = float(exact_wake(right, x).sum().detach())
    for machine, sign in ((right, 1), (printed, -1)):
        step = torch.optim.SGD(machine.generative.parameters(), lr=0.5)
        for _ in range(300):
            step.zero_grad()
            (sign * exact_wake(machine, x)).sum().backward()
            step.step()
    assert float(exact_wake(right, x).sum().detach()) < before
    assert float(printed.generative.log_prob(x).sum().detach()) < -100


@pytest.mark.covers("E28")
def test_a_sleep_phase_that_minimises_log_q_has_no_end():
    machine = shaken(HelmholtzMachine(3, [2]))
    step = torch.optim.SGD(machine.recognition.parameters(), lr=0.5)
    for _ in range(200):
        step.zero_grad()
        (-exact_sleep(machine)).backward()
        step.step()
    assert (
        float(exact_sleep(machine).detach()) > 20
    )  # the right one is never above 2 log 2 at its least


@pytest.mark.covers("E29", "E30", "E32")
def test_the_gradient_of_the_free_energy_in_phi_term_by_term(machine):
    x, phi = states(4)[[6]], list(machine.recognition.parameters())
    log_p, log_q = machine.generative.table(x).detach(), machine.table(x)
    q = log_q.exp()
    log_posterior = log_p.log_softmax(-1)
    prior = machine.generative.log_prior(machine.generative.states()).detach()
    F = gradients(free_energies(machine, x).forward.sum(), phi)
    entropy, inside = gradients((q * log_q).sum(), phi), gradients((q * log_posterior).sum(), phi)
    assert torch.allclose(F, entropy - inside, atol=1e-10)
    assert (F - entropy - inside).abs().max() > 0.01  # with the sign as printed
    # the score function: log p(x, z) may stand for log p(z | x), ∇ log q may not become ∇ q
    score = gradients((q.detach() * log_p * log_q).sum(), phi)
    assert torch.allclose(inside, score, atol=1e-10)
    assert (inside - gradients((q.detach() * log_p * q).sum(), phi)).abs().max() > 0.01
    # E step: the reconstruction alone lacks the divergence from the prior
    reconstruction = gradients((q * (log_p - prior)).sum(), phi)
    rate = gradients((q * (log_q - prior)).sum(), phi)
    assert torch.allclose(-F, reconstruction - rate, atol=1e-10)
    assert (F + reconstruction).abs().max() > 0.01


@pytest.mark.covers("E31")
@torch.no_grad()
def test_a_divergence_from_the_posterior_alone_does_not_see_the_likelihood():
    # x that does not depend on z: the posterior is the prior, whatever the chance of x.
    for bias in (-3.0, 0.0, 5.0):
        machine = HelmholtzMachine(3, [2]).double()
        with torch.no_grad():
            for w in machine.parameters():
                w.zero_()
            machine.generative.layers[0].bias.fill_(bias)
        x = torch.ones(1, 3, dtype=DOUBLE)
        surprise, forward, _ = free_energies(machine, x)
        assert float((forward - surprise).abs()) < 1e-12
        assert float(surprise) == pytest.approx(
            -3 * math.log(torch.tensor(bias).sigmoid()), rel=1e-5
        )


@pytest.fixture(scope="module")
def pixels() -> tuple[Tensor, Tensor]:
    """Six pixels from the middle of the binarised digits: all 64 states and their shares."""
    x = (data.digits().train[:, 0, 3:5, 2:5] > 0.5).flatten(1)
    values, share = empirical_law(x.long())
    return values.double(), share


def at(machine: HelmholtzMachine, x: Tensor, p: Tensor) -> tuple[float, float]:
    """KL(p_data ‖ p_θ) and the mean free energy less the entropy of the data, nats."""
    surprise, forward, _ = (p @ f.detach() for f in free_energies(machine, x))
    entropy = -(p * p.log()).sum()
    return float(surprise - entropy), float(forward - entropy)


@pytest.mark.proves("prop-wake-sleep-bias")
@pytest.mark.covers("S4-17", "S4-26")
def test_on_six_pixels_wake_sleep_lowers_the_bound_and_is_wrong_but_not_too_wrong(pixels):
    x, p = pixels
    machine = HelmholtzMachine(6, [3], generator=seeded()).double()
    with torch.no_grad():
        for w in machine.generative.parameters():
            w *= 3
    weights = list(machine.parameters())
    descended(lambda: -p @ machine.generative.log_prob(x), machine.generative.parameters(), 400)
    likelihood, _ = at(machine, x, p)
    posterior = machine.generative.posterior(x).detach()
    descended(
        lambda: -p @ (posterior * machine.table(x)).sum(-1), machine.recognition.parameters(), 400
    )
    # Variational EM: both halves descend the one free energy.
    descended(lambda: p @ free_energies(machine, x).forward, weights, 400)
    vem, best = at(machine, x, p)
    # Wake-sleep from there, with sums for draws: small steps of each half on its own objective.
    step, seen = torch.optim.SGD(weights, lr=1.0), [(vem, best)]
    for t in range(1, 401):
        step.zero_grad()
        (p @ exact_wake(machine, x) + exact_sleep(machine)).backward()
        step.step()
        if t % 100 == 0:
            seen.append(at(machine, x, p))
    energies = [F for _, F in seen]
    assert energies == sorted(energies)  # F rises: the bound goes down at every look
    assert energies[-1] > best + 1e-4
    # measured in nats: likelihood 0.087, variational EM 0.115, wake-sleep 0.113; F 0.144 and 0.147
    assert likelihood < seen[-1][0] < vem + 0.01


# --- Reweighted wake-sleep ------------------------------------------------------------------------


def expected_gradient(machine: HelmholtzMachine, x: Tensor, k: int, weights: list) -> Tensor:
    """The gradient of the reweighted loss, averaged over every k-tuple of states."""
    z, q = machine.generative.states(), machine.table(x)[0].exp().detach()
    total = 0
    for chosen in itertools.product(range(len(z)), repeat=k):
        machine.infer = lambda x, generator=None, chosen=chosen: z[list(chosen)][:, None]
        loss = reweighted_wake_sleep_loss(machine, x, k=k).sum()
        total = total + q[list(chosen)].prod() * gradients(loss, weights)
    del machine.infer
    return total


def importance_bound(machine: HelmholtzMachine, x: Tensor, k: int) -> Tensor:
    """E log (1/k) Σ w, over every k-tuple of states, a function of θ."""
    log_p, log_q = machine.generative.table(x)[0], machine.table(x)[0].detach()
    total = 0
    for chosen in itertools.product(range(len(log_q)), repeat=k):
        w = (log_p - log_q)[list(chosen)]
        total = total + log_q[list(chosen)].sum().exp() * (w.logsumexp(0) - math.log(k))
    return total


@pytest.mark.proves("thm-reweighted")
def test_reweighted_wake_climbs_the_bound_of_k_draws_and_with_one_draw_it_is_wake():
    machine, x = shaken(HelmholtzMachine(3, [2])), states(3)[[5]]
    theta = list(machine.generative.parameters())
    wake = gradients(exact_wake(machine, x).sum(), theta)
    truth = gradients(machine.generative.log_prob(x).sum(), theta)
    assert torch.allclose(expected_gradient(machine, x, 1, theta), wake, atol=1e-12)
    errors, bounds = [], []
    for k in (1, 2, 4):
        bound = importance_bound(machine, x, k)
        mean = expected_gradient(machine, x, k, theta)
        assert torch.allclose(mean, -gradients(bound, theta), atol=1e-12)
        errors.append(float((mean + truth).norm()))
        bounds.append(float(bound.detach()))
    assert errors == sorted(errors, reverse=True)
    assert errors[2] < 0.6 * errors[0], errors
    assert bounds == sorted(bounds)
    assert bounds[-1] < float(machine.generative.log_prob(x).detach())


@pytest.mark.proves("thm-reweighted")
def test_reweighted_recognition_goes_from_nothing_to_sleep_on_data():
    machine, x = shaken(HelmholtzMachine(3, [2])), states(3)[[5]]
    phi = list(machine.recognition.parameters())
    p = machine.generative.posterior(x).detach()
    limit = gradients(-(p * machine.table(x)).sum(), phi)
    one, two, four = (expected_gradient(machine, x, k, phi) for k in (1, 2, 4))
    assert one.abs().max() < 1e-12
    off = [float((mean - limit).norm()) for mean in (one, two, four)]
    assert off == sorted(off, reverse=True)
    assert torch.nn.functional.cosine_similarity(four, limit, dim=0) > 0.9


@torch.no_grad()
def test_importance_weights_are_unbiased_for_the_likelihood(machine, g):
    x = states(4)[[6]]
    truth = float(machine.generative.log_prob(x))
    estimates = importance_log_prob(machine, x.expand(400, -1), 50, generator=g)
    laws.unbiased(estimates.exp(), math.exp(truth))
    few = importance_log_prob(machine, x.expand(4000, -1), 2, generator=g)
    assert few.mean() < estimates.mean() < truth + 4 * estimates.std() / 20
    with pytest.raises(ValueError, match="k as an integer >= 1, got 0"):
        importance_log_prob(machine, x, 0)
    with pytest.raises(ValueError, match="zeros and ones"):
        reweighted_wake_sleep_loss(machine, x / 2)


@pytest.mark.covers("S4-17")
def test_both_ways_learn_a_law_that_they_can_say_and_reweighting_is_no_worse():
    truth = shaken(SigmoidBeliefNet(4, [2]), 2.0, seed=1)
    x, g = truth.sample(3000, generator=seeded(2)).double(), seeded(4)
    entropy = float(-truth.log_prob(x).mean().detach())
    off = []
    for loss in (wake_sleep_loss, reweighted_wake_sleep_loss):
        machine = HelmholtzMachine(4, [2], generator=seeded(5)).double()
        fit(machine, loss, x, steps=1200, batch_size=200, lr=0.02, generator=g)
        off.append(float(-machine.generative.log_prob(x).mean().detach()) - entropy)
    coins_alone = float(
        -(x.mean(0) * x.mean(0).log() + (1 - x).mean(0) * (1 - x).mean(0).log()).sum()
    )
    assert max(off) < 0.3 * (coins_alone - entropy)
    assert off[1] < off[0] + 0.02


@pytest.mark.covers("S4-17")
def test_on_digits_both_say_what_independent_pixels_cannot_and_reweighting_says_more(g):
    images = data.digits()
    x, test = ((part.flatten(1) > 0.5).float() for part in (images.train, images.test))
    p = x.mean(0).clamp(0.5 / len(x), 1 - 0.5 / len(x))
    alone = float((test @ p.log() + (1 - test) @ (1 - p).log()).mean())
    found = []
    for loss in (wake_sleep_loss, reweighted_wake_sleep_loss):
        machine = HelmholtzMachine(64, [32], generator=seeded())
        with torch.no_grad():
            machine.generative.layers[0].bias.copy_(p.logit())
        fit(machine, loss, x, steps=700, lr=5e-3, generator=g)
        found.append(float(importance_log_prob(machine, test, 100, generator=g).mean()))
    assert alone + 2 < found[0] < found[1], (alone, found)


def test_mean_field_stays_a_bound_where_the_posterior_is_certain():
    g = torch.Generator().manual_seed(0)
    net = SigmoidBeliefNet(20, [4], generator=g).double()
    with torch.no_grad():
        for w in net.parameters():
            w.mul_(20)
    x = net.sample(10, generator=g)
    assert (mean_field(net, x).bound <= net.log_prob(x) + 1e-9).all()
