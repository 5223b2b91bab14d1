"""Chapter 10: soft logic, constraints, posterior regularisation, rules, targets of distillation."""

import math
from itertools import product

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from genlab import laws
from genlab.divergences import cross_entropy, kl, total_variation
from genlab.knowledge.constraint import Constraint, regularised_objective, score_spread
from genlab.knowledge.distill import distill, imitation
from genlab.knowledge.iterate import pr_em
from genlab.knowledge.logic import Rule, average, soft_and, soft_implies, soft_not, soft_or
from genlab.knowledge.posterior import posterior_regularization, pr_objective, weight_for
from genlab.knowledge.rules import learn_weights, rule_teacher, tilted_log_likelihood
from genlab.knowledge.targets import average_of_teachers, blend, distillation_loss, soften
from genlab.knowledge.tilts import tilted_normal, weighted_mean
from genlab.variational import optimal_baseline, reparameterised_gradient, score_gradient

DOUBLE = torch.float64


def seeded(number: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(number)


def some(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, dtype=DOUBLE, generator=seeded(seed))


def some_law(*shape: int, seed: int = 0) -> Tensor:
    return some(*shape, seed=seed).softmax(-1)


def slope(function, at: Tensor, h: float = 1e-5) -> Tensor:
    """Central differences of a scalar function of a vector."""
    steps = h * torch.eye(len(at), dtype=DOUBLE)
    return torch.stack([(function(at + e) - function(at - e)) / (2 * h) for e in steps])


# --- Soft logic -----------------------------------------------------------------------------------


@pytest.mark.proves("prop-lukasiewicz")
@pytest.mark.covers("S4-68")
def test_at_the_corners_the_connectives_are_those_of_logic():
    for a, b in product((False, True), repeat=2):
        x, y = float(a), float(b)
        assert soft_and(x, y) == float(a and b)
        assert soft_or(x, y) == float(a or b)
        assert soft_implies(x, y) == float(not a or b)
        assert soft_not(x) == float(not a)


@pytest.mark.proves("prop-lukasiewicz")
@pytest.mark.covers("S4-68")
def test_between_them_de_morgan_and_residuation_hold_but_idempotence_does_not():
    grid = torch.linspace(0, 1, 21, dtype=DOUBLE)
    a, b, c = (v.flatten() for v in torch.meshgrid(grid, grid, grid, indexing="ij"))
    assert torch.allclose(soft_not(soft_and(a, b)), soft_or(1 - a, 1 - b), atol=1e-15)
    assert torch.allclose(soft_implies(a, b), soft_or(1 - a, b), atol=1e-15)
    # a ∧ b ≤ c just where a ≤ (b ⇒ c)
    slack = 1e-12
    assert torch.equal(soft_and(a, b) <= c + slack, a <= soft_implies(b, c) + slack)
    assert float(soft_and(0.5, 0.5)) == 0
    assert torch.equal(soft_implies(a, b) == 1, a <= b)


@pytest.mark.covers("S4-68")
def test_rules_are_values_that_compose_and_name_themselves():
    a, b = (Rule(lambda w, i=i: w[:, i], "ab"[i]) for i in range(2))
    world = torch.rand(50, 2, dtype=DOUBLE, generator=seeded())
    u, v = world.T
    assert torch.equal((a & ~b)(world), soft_and(u, 1 - v))
    assert torch.equal((a | b)(world), soft_or(u, v))
    assert torch.equal((a >> b)(world), soft_implies(u, v))
    assert ((a & ~b) >> b).name == "((a ∧ ¬b) ⇒ b)"
    both = average(a, b)
    assert torch.allclose(both(world), (u + v) / 2)
    assert (both(world) >= (a & b)(world)).all()
    corners = torch.tensor([[0.0, 1.0], [1.0, 1.0]])
    assert torch.equal(both(corners) == 1, (a & b)(corners) == 1)


def test_what_is_no_degree_of_truth_is_refused_with_the_rule_named():
    with pytest.raises(ValueError, match=r"rule 'tall' in \[0, 1\], got 1.8 \(1 of 2"):
        Rule(lambda w: w, "tall")(torch.tensor([1.8, 0.3]))
    with pytest.raises(ValueError, match="got nan"):
        soft_or(float("nan"), 0.2)
    with pytest.raises(ValueError, match="one rule or more"):
        average()


# --- Constraints and the objective that rewards them ----------------------------------------------


@pytest.mark.covers("S4-60")
def test_constraints_weigh_and_add():
    x = some(5, 2)
    first, both = Constraint(lambda x: x[:, 0]), Constraint(lambda x: x.prod(1), 2.0, "product")
    assert torch.allclose((3 * first + both)(x), 3 * x[:, 0] + 2 * x[:, 0] * x[:, 1])
    assert (first + both).name == "f + product"
    with pytest.raises(ValueError, match="weight of 'product' >= 0, got -1"):
        Constraint(lambda x: x, -1.0, "product")
    with pytest.raises(ValueError, match="one value for each of 5 rows"):
        Constraint(lambda x: x)(x)
    with pytest.raises(ValueError, match="NaN or infinite at some rows"):
        Constraint(lambda x: x[:, 0].sqrt())(x)


@pytest.mark.proves("prop-constraint-gradient")
@pytest.mark.covers("S4-63", "E97")
def test_the_gradient_of_an_expected_constraint_is_f_times_the_score(g):
    f, logits = some(6, seed=1), some(6, seed=2)
    p = logits.softmax(0)
    exact = p * (f - p @ f)
    assert torch.allclose(slope(lambda a: a.softmax(0) @ f, logits), exact, atol=1e-9)

    def law(phi):
        return torch.distributions.Categorical(logits=phi)

    terms = score_gradient(lambda z: f[z], law, logits, 20_000, generator=g)
    for column, right in zip(terms.T, exact, strict=True):
        laws.unbiased(column, float(right))


@pytest.mark.proves("prop-constraint-gradient")
@pytest.mark.covers("S4-63")
def test_the_regularised_objective_has_the_exact_gradient_of_both_terms():
    data, f, logits = some_law(5), some(5, seed=1), some(5, seed=2).requires_grad_()
    loss = regularised_objective(data, logits.softmax(0), f, 0.7)
    (gradient,) = torch.autograd.grad(loss, logits)
    p = logits.detach().softmax(0)
    assert torch.allclose(gradient, p - data - 0.7 * p * (f - p @ f), atol=1e-14)


@pytest.mark.proves("prop-constraint-baseline")
@pytest.mark.covers("S4-64", "E97")
@pytest.mark.covers("E97")
def test_a_baseline_takes_away_the_noise_that_a_constant_makes(g):
    rng = np.random.default_rng(1)
    p, f = torch.tensor(rng.dirichlet(np.ones(6))), torch.tensor(rng.normal(size=6)) + 10
    plain, based = score_spread(p, f), score_spread(p, f, float(p @ f))
    assert float(plain) == pytest.approx(59.1, abs=0.3)
    assert float(based) == pytest.approx(0.14, abs=0.01)

    def law(phi):
        return torch.distributions.Categorical(logits=phi)

    for baseline, exact in ((0.0, plain), (float(p @ f), based)):
        terms = score_gradient(lambda z: f[z], law, p.log(), 20_000, baseline=baseline, generator=g)
        assert float(terms.var(0).sum()) == pytest.approx(float(exact), rel=0.05)
    # log p itself never enters: an f that is constant has no gradient and, less itself, no noise.
    assert float(score_spread(p, torch.full((6,), 10.0), 10.0)) == 0


@pytest.mark.covers("S4-63", "S4-64")
def test_where_f_has_a_slope_the_draws_are_moved_and_there_is_no_score_term(g):
    def law(phi):
        return torch.distributions.Normal(phi[..., 0], 1.0)

    def f(z):
        return 10 - (z - 2).square()

    at = torch.tensor([0.5], dtype=DOUBLE)
    moved = reparameterised_gradient(f, law, at, 5000, generator=g)
    weighed = score_gradient(f, law, at, 5000, generator=g)
    best = optimal_baseline(f, law, at, 5000, generator=g)
    based = score_gradient(f, law, at, 5000, baseline=best, generator=g)
    for terms in (moved, weighed, based):
        laws.unbiased(terms[:, 0], 3.0)  # −2 (½ − 2)
    assert moved.var() < based.var() < weighed.var()


# --- Posterior regularisation ---------------------------------------------------------------------


@pytest.mark.proves("thm-posterior-regularisation")
@pytest.mark.covers("S4-65", "S4-66", "E92", "E93")
@pytest.mark.covers("E92", "E93")
def test_the_tilt_is_the_least_of_the_objective_and_its_value_minus_log_z():
    rng = np.random.default_rng(1)
    p, f = torch.tensor(rng.dirichlet(np.ones(6))), torch.tensor(rng.normal(size=6))
    q, log_z, expected, cost = posterior_regularization(p, f, 1.7)
    assert -0.6 * float(log_z) == pytest.approx(-0.241127, abs=1e-6)
    assert float(pr_objective(q, p, f, 1.7)) == pytest.approx(-float(log_z), abs=1e-14)
    assert float(expected) == pytest.approx(float(q @ f), abs=1e-14)
    assert float(cost) == pytest.approx(float(kl(q, p)), abs=1e-14)
    for other in some_law(500, 6):
        gap = pr_objective(other, p, f, 1.7) + log_z
        assert float(gap) == pytest.approx(float(kl(other, q)), abs=1e-12)  # so never negative
    # With −α before the two terms the tilt would be the worst: a corner is lower.
    corner = torch.zeros(6, dtype=DOUBLE)
    corner[int((p.log() + 1.7 * f).argmin())] = 1
    assert -0.6 * float(pr_objective(corner, p, f, 1.7)) == pytest.approx(-2.0591, abs=1e-4)
    # With a constant in place of f nothing is constrained.
    same = posterior_regularization(p, torch.ones(6), 1.7).q
    assert total_variation(same, p) < 1e-15


@pytest.mark.proves("prop-dual-slope")
@pytest.mark.covers("S4-65")
@pytest.mark.parametrize("weight", [0.0, 0.3, 2.0])
def test_the_slope_of_log_z_is_the_expectation_and_its_curvature_the_variance(weight):
    p, f = some_law(7, seed=3), some(7, seed=4)
    q, log_z, expected, cost = posterior_regularization(p, f, weight)
    at = torch.tensor([weight], dtype=DOUBLE)

    def dual(w):
        return (p.log() + w * f).logsumexp(0)

    assert float(slope(dual, at)[0]) == pytest.approx(float(expected), abs=1e-9)
    bend = (dual(at + 1e-3) - 2 * dual(at) + dual(at - 1e-3)) / 1e-6
    variance = float(q @ f.square() - expected**2)
    assert float(bend) == pytest.approx(variance, abs=1e-6)
    # The tangent at λ meets the axis at −KL: what the tilt costs.
    assert float(log_z - weight * expected) == pytest.approx(-float(cost), abs=1e-14)


@pytest.mark.proves("prop-soft-and-hard")
@pytest.mark.covers("S4-67")
def test_without_weight_the_tilt_is_the_model_and_with_all_weight_the_model_where_f_is_best():
    p, f = some_law(6), torch.tensor([0.0, 1.0, 3.0, 3.0, 2.0, 3.0], dtype=DOUBLE)
    assert total_variation(posterior_regularization(p, f, 0.0).q, p) < 1e-15
    hard = posterior_regularization(p, f, math.inf)
    right = torch.where(f == 3, p, 0.0)
    assert torch.allclose(hard.q, right / right.sum(), atol=1e-15)
    assert float(hard.kl) == pytest.approx(-math.log(right.sum()))
    distance = [
        float(total_variation(posterior_regularization(p, f, w).q, hard.q)) for w in (5, 10, 20)
    ]
    assert distance[0] < 0.01
    assert distance[1] < distance[0] * math.exp(-4.5)  # the gap in f is 1
    assert distance[2] < distance[1] * math.exp(-9)
    soft = posterior_regularization(p, f - 3, 40.0)
    hard = posterior_regularization(p, f - 3, math.inf)
    assert float(soft.log_z) == pytest.approx(float(hard.log_z), abs=1e-12)
    # Where p never goes f has no say.
    closed = torch.tensor([0.5, 0.5, 0.0, 0.0, 0.0, 0.0], dtype=DOUBLE)
    assert posterior_regularization(closed, f, math.inf).q[1] == 1


@pytest.mark.proves("prop-dual-slope")
@pytest.mark.covers("S4-65")
def test_of_all_laws_that_reach_a_bound_the_tilt_with_its_weight_is_the_nearest():
    p, f = some_law(5, seed=5), some(5, seed=6)
    bound = 0.5 * float(p @ f) + 0.5 * float(f.max())
    weight = weight_for(p, f, bound)
    _, _, expected, cost = posterior_regularization(p, f, weight)
    assert float(expected) == pytest.approx(bound, abs=1e-8)
    others = some_law(3000, 5, seed=7)
    reach = others[others @ f >= bound]
    assert len(reach) > 20
    assert (kl(reach, p.expand_as(reach)) > cost).all()
    assert weight_for(p, f, float(p @ f) - 0.1) == 0
    with pytest.raises(ValueError, match="bound below"):
        weight_for(p, f, float(f.max()))


def test_tables_of_many_inputs_are_tilted_row_by_row():
    p, f = some_law(4, 6), some(4, 6, seed=1)
    whole = posterior_regularization(p, f, 1.2)
    for i in range(4):
        row = posterior_regularization(p[i], f[i], 1.2)
        for a, b in zip(whole, row, strict=True):
            assert torch.allclose(a[i], b, atol=1e-14)


def test_posterior_regularisation_refuses_in_a_sentence():
    p = [0.5, 0.5, 0.0]
    with pytest.raises(ValueError, match=r"weight λ >= 0, got -1.*take −f"):
        posterior_regularization(p, [0.0, 1.0, 2.0], -1)
    with pytest.raises(ValueError, match="Z = 0"):
        posterior_regularization(p, [-math.inf, -math.inf, 1.0], 1.0)
    with pytest.raises(ValueError, match="NaN or"):
        posterior_regularization(p, [0.0, math.nan, 1.0], 1.0)
    with pytest.raises(ValueError, match="each of the 3 values"):
        posterior_regularization(p, [0.0, 1.0], 1.0)


# --- EM -------------------------------------------------------------------------------------------


def binomial(law: Tensor) -> Tensor:
    """Maximum likelihood among the binomial laws on 0, …, m − 1: a family of one parameter."""
    m = len(law)
    mean = float(law @ torch.arange(m, dtype=DOUBLE)) / (m - 1)
    coin = torch.distributions.Binomial(m - 1, torch.tensor(mean, dtype=DOUBLE))
    return coin.log_prob(torch.arange(m, dtype=DOUBLE)).exp()


@pytest.mark.proves("thm-pr-em")
@pytest.mark.covers("S4-66", "S4-76")
@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0, 5.0])
@pytest.mark.parametrize("model", [binomial, lambda law: law], ids=["binomial", "all laws"])
def test_em_never_goes_up_and_ends_where_its_own_step_leaves_it(alpha, model):
    data, f = some_law(6, seed=8), some(6, seed=9)
    fitted = pr_em(data, model, f, 1.5, alpha=alpha, steps=150)
    laws.never_goes_down(-fitted.objective)
    assert torch.allclose(fitted.p, model((data + alpha * fitted.q) / (1 + alpha)), atol=1e-9)
    before = model(data)
    if alpha:
        assert fitted.p @ f > before @ f + 1e-3
    else:
        assert torch.allclose(fitted.p, before, atol=1e-12)


@pytest.mark.proves("prop-pr-m-step")
@pytest.mark.covers("S4-66", "E94")
@pytest.mark.covers("E94")
def test_the_m_step_weighs_the_teacher_by_alpha():
    rng = np.random.default_rng(1)
    p, f = rng.dirichlet(np.ones(6)), rng.normal(size=6)
    a = torch.tensor(rng.normal(size=(6, 2)))
    data, theta = torch.tensor(rng.dirichlet(np.ones(6))), torch.tensor(rng.normal(size=2))
    q = posterior_regularization(torch.tensor(p), torch.tensor(f), 1.7).q
    f = torch.tensor(f)

    def law(t):
        return (a @ t).softmax(0)

    def full(t):
        return cross_entropy(data, law(t)) + 0.6 * pr_objective(q, law(t), f, 1.7)

    def right(t):
        return 1.6 * cross_entropy((data + 0.6 * q) / 1.6, law(t))

    def printed(t):
        return cross_entropy(data, law(t)) + cross_entropy(q, law(t))

    exact = slope(full, theta)
    assert exact.tolist() == pytest.approx([0.291133, -1.133010], abs=1e-5)
    assert torch.allclose(slope(right, theta), exact, atol=1e-8)
    assert slope(printed, theta).tolist() == pytest.approx([0.353949, -1.061120], abs=1e-5)


@pytest.mark.proves("prop-free-energy-of-the-constraint")
@pytest.mark.covers("S4-65")
def test_with_the_best_q_the_objective_rewards_log_e_to_the_f_which_is_more_than_f():
    p, f, data = some_law(6), some(6, seed=1), some_law(6, seed=2)
    for weight in (0.01, 0.5, 3.0):
        q, log_z, *_ = posterior_regularization(p, f, weight)
        joint = cross_entropy(data, p) + 0.7 * pr_objective(q, p, f, weight)
        assert torch.allclose(joint, cross_entropy(data, p) - 0.7 * log_z, atol=1e-14)
        mean, variance = p @ f, p @ f.square() - (p @ f) ** 2
        assert log_z >= weight * mean
        if weight == 0.01:
            assert float(log_z) == pytest.approx(
                float(weight * mean + weight**2 * variance / 2), abs=1e-6
            )


def test_em_refuses_what_makes_no_objective():
    data, f = [0.5, 0.5], [0.0, 1.0]
    for weight, alpha in ((math.inf, 1.0), (1.0, math.inf)):
        with pytest.raises(ValueError, match="finite weight"):
            pr_em(data, lambda law: law, f, weight, alpha=alpha)
    with pytest.raises(ValueError, match="alpha >= 0"):
        pr_em(data, lambda law: law, f, 1.0, alpha=-1)


# --- Beyond finite sets ---------------------------------------------------------------------------


@pytest.mark.proves("prop-tilted-normal")
@pytest.mark.covers("S4-66")
def test_a_tilted_normal_law_is_normal_with_added_precision():
    grid = torch.linspace(-12, 12, 4001, dtype=DOUBLE)
    before = torch.distributions.Normal(torch.tensor(0.5, dtype=DOUBLE), 1.3)
    for a, c, weight in ((1.0, 0.0, 0.8), (-0.5, 2.0, 1.5), (0.0, -0.2, 1.0)):
        f = a * grid - c * grid.square() / 2
        p = before.log_prob(grid).softmax(0)
        tilted = posterior_regularization(p, f, weight).q
        q = tilted_normal(
            torch.tensor([0.5], dtype=DOUBLE),
            torch.tensor([[1.69]], dtype=DOUBLE),
            torch.tensor([a], dtype=DOUBLE),
            weight,
            torch.tensor([[c]], dtype=DOUBLE),
        )
        assert total_variation(tilted, q.log_prob(grid[:, None]).softmax(0)) < 1e-10


@pytest.mark.proves("prop-tilted-normal")
def test_a_linear_constraint_moves_the_mean_and_leaves_the_covariance():
    root = some(3, 3)
    covariance, mean, a = root @ root.T + torch.eye(3), some(3, seed=1), some(3, seed=2)
    q = tilted_normal(mean, covariance, a, 0.7)
    assert torch.allclose(q.mean, mean + 0.7 * covariance @ a, atol=1e-12)
    assert torch.allclose(q.covariance_matrix, covariance, atol=1e-12)
    cost = torch.distributions.kl_divergence(
        q, torch.distributions.MultivariateNormal(mean, covariance)
    )
    assert float(cost) == pytest.approx(float(0.49 * a @ covariance @ a / 2), abs=1e-12)
    with pytest.raises(ValueError, match="Z is infinite"):
        tilted_normal(mean, covariance, a, 50.0, -torch.eye(3, dtype=DOUBLE))


@pytest.mark.covers("S4-66")
def test_weighted_draws_give_expectations_under_the_tilt_with_their_error(g):
    a, far = torch.tensor([0.8], dtype=DOUBLE), []
    q = tilted_normal(torch.zeros(1, dtype=DOUBLE), torch.eye(1, dtype=DOUBLE), a, 1.0)
    for _ in range(200):
        x = torch.randn(2000, dtype=DOUBLE, generator=g)
        mean, error = weighted_mean(x, 0.8 * x)
        far.append((mean - float(q.mean)) / error)
    far = torch.tensor(far)
    laws.unbiased(far, 0.0)
    assert 0.8 < far.std() < 1.2
    with pytest.raises(ValueError, match="No draw has a finite score"):
        weighted_mean(x, torch.full_like(x, -math.inf))
    with pytest.raises(ValueError, match="both of shape"):
        weighted_mean(x, x[:3])


# --- Rules ----------------------------------------------------------------------------------------


@pytest.mark.proves("prop-rule-teacher")
@pytest.mark.covers("S4-69", "E95")
@pytest.mark.covers("E95")
def test_the_teacher_of_rules_is_the_tilt_of_the_students_own_prediction():
    p = torch.tensor([0.7, 0.2, 0.1], dtype=DOUBLE)
    truth = torch.tensor([[0.2], [0.9], [0.5]], dtype=DOUBLE)
    q = rule_teacher(p, truth, [1.5])
    assert q.tolist() == pytest.approx([0.490, 0.400, 0.110], abs=5e-4)
    assert torch.allclose(q, posterior_regularization(p, truth[:, 0], 1.5).q, atol=1e-15)
    # Many rules, many inputs: the weighted sum is the one f.
    p, truth = some_law(5, 4), torch.rand(5, 4, 3, dtype=DOUBLE, generator=seeded())
    f = truth @ torch.tensor([0.5, 2.0, 0.0], dtype=DOUBLE)
    q = rule_teacher(p, truth, [0.5, 2.0, 0.0])
    assert torch.allclose(q, posterior_regularization(p, f, 1.0).q, atol=1e-14)
    # The p(x) that is printed in its place cancels: every student would have one teacher.
    printed = (1.5 * torch.tensor([0.2, 0.9, 0.5])).softmax(0)
    assert printed.tolist() == pytest.approx([0.184, 0.527, 0.289], abs=5e-4)


@pytest.mark.proves("prop-soft-and-hard")
@pytest.mark.covers("S4-67", "S4-69")
def test_hard_rules_strike_out_labels_and_large_weights_come_near():
    p, truth = some_law(4), torch.tensor([[0.0, 1], [1, 1], [1, 0.6], [1, 1]], dtype=DOUBLE)
    hard = rule_teacher(p, truth, [math.inf, math.inf])
    left = torch.tensor([0, p[1], 0, p[3]])
    assert torch.allclose(hard, left / left.sum(), atol=1e-15)
    assert total_variation(rule_teacher(p, truth, [80.0, 80.0]), hard) < 1e-13


def test_rules_that_contradict_each_other_are_named_the_fewest_of_them():
    p = torch.full((2, 2), 0.5)
    truth = torch.ones(2, 2, 3)
    truth[1, 0, 0] = truth[1, 1, 2] = 0
    names = ["rain", "wind", "sun"]
    with pytest.raises(ValueError, match=r"rules 'rain' and 'sun' contradict.*at 1 of 2 inputs"):
        rule_teacher(p, truth, [math.inf] * 3, names)
    assert rule_teacher(p, truth, [math.inf, math.inf, 3.0], names)[1, 1] == 1
    truth[:, :, 1] = 0
    with pytest.raises(ValueError, match="rule 'wind' leaves nothing: at 2 of 2"):
        rule_teacher(p, truth, [math.inf] * 3, names)
    with pytest.raises(ValueError, match="one rule or more, got none"):
        rule_teacher(p, torch.ones(2, 2, 0), [])
    with pytest.raises(ValueError, match="weight of the rule 'r2' >= 0, got -2"):
        rule_teacher(p, torch.ones(2, 2, 2), [1.0, -2.0])
    with pytest.raises(ValueError, match=r"every rule in \[0, 1\]"):
        rule_teacher(p, torch.full((2, 2, 1), 1.5), [1.0])
    with pytest.raises(ValueError, match=r"shape \(2, 2, 1\)"):
        rule_teacher(p, torch.ones(2, 2), [1.0])


@pytest.mark.proves("prop-rule-weights")
@pytest.mark.covers("S4-73")
def test_the_slope_in_a_rules_weight_is_what_data_have_of_it_less_what_the_teacher_has():
    p, truth = some_law(30, 4), torch.rand(30, 4, 2, dtype=DOUBLE, generator=seeded(1))
    y = torch.eye(4, dtype=DOUBLE)[torch.randint(4, (30,), generator=seeded(2))]
    w = torch.tensor([0.7, 1.9], dtype=DOUBLE)
    q = rule_teacher(p, truth, w.tolist())
    gradient = ((y - q)[..., None] * truth).sum(1).mean(0)
    numeric = slope(lambda w: tilted_log_likelihood(p, truth, w, y), w)
    assert torch.allclose(numeric, gradient, atol=1e-9)


@pytest.mark.proves("prop-rule-weights")
@pytest.mark.covers("S4-73")
def test_the_confidence_of_a_rule_is_learnt_from_labels_and_a_useless_rule_gets_none(g):
    n, true = 4000, torch.tensor([2.0, 0.0], dtype=DOUBLE)
    p = some_law(n, 3)
    truth = torch.randint(2, (n, 3, 2), generator=g).double()
    q = rule_teacher(p, truth, true.tolist())
    y = torch.eye(3, dtype=DOUBLE)[torch.multinomial(q, 1, generator=g)[:, 0]]
    learnt = learn_weights(p, truth, y)
    assert torch.allclose(learnt, true, atol=0.2)
    assert (learnt >= 0).all()
    with pytest.raises(ValueError, match="penalty > 0"):  # a rule that is never broken
        learn_weights(p[:, :2] / p[:, :2].sum(1, keepdim=True), *_never_broken(n))
    mild = learn_weights(p[:, :2] / p[:, :2].sum(1, keepdim=True), *_never_broken(n), penalty=0.01)
    assert 1 < float(mild) < 20


def _never_broken(n: int) -> tuple[Tensor, Tensor]:
    y = torch.zeros(n, 2, dtype=DOUBLE)
    y[:, 1] = 1
    return y[..., None], y


@pytest.mark.proves("thm-learned-constraint")
@pytest.mark.covers("S4-74")
def test_a_constraint_learnt_from_data_gives_the_nearest_law_with_the_datas_expectations():
    p, data = some_law(8), some_law(8, seed=1)
    features = some(8, 3, seed=2)
    w = learn_weights(p, features, data, signed=True)
    q = (p.log() + features @ w).softmax(0)
    assert torch.allclose(q @ features, data @ features, atol=1e-7)
    # Pythagoras: any other law with these expectations is farther from p, by its KL to q.
    assert float(kl(data, p)) == pytest.approx(float(kl(data, q) + kl(q, p)), abs=1e-7)
    assert kl(q, p) < kl(data, p)


# --- Targets of distillation ----------------------------------------------------------------------


@pytest.mark.proves("prop-logit-matching")
@pytest.mark.covers("S4-70")
def test_a_hot_student_matches_logits():
    z, v = some(5), some(5, seed=1)
    for temperature in (1.0, 3.0):
        s, q = soften(v, temperature), soften(z, temperature)
        gradient = slope(lambda a, t=temperature: distillation_loss(a, v, t), z)
        assert torch.allclose(gradient, temperature * (q - s), atol=1e-8)
    apart = (z - z.mean()) - (v - v.mean())
    limit = apart.square().sum() / (2 * 5)
    errors = [abs(float(distillation_loss(z, v, t) - limit)) for t in (10.0, 100.0, 1000.0)]
    assert errors[1] < errors[0] / 9
    assert errors[2] < errors[1] / 9
    gradient = 1000 * (soften(z, 1000.0) - soften(v, 1000.0))
    assert torch.allclose(gradient, apart / 5, atol=1e-3)
    assert float(distillation_loss(v + 3.0, v, 2.0)) == pytest.approx(0, abs=1e-14)


@pytest.mark.proves("prop-average-of-teachers")
@pytest.mark.covers("S4-71", "E102")
@pytest.mark.covers("E102")
def test_a_student_of_several_teachers_learns_their_average_and_none_of_them():
    s = some_law(3, 4)
    arithmetic, geometric = (average_of_teachers(s, k) for k in ("arithmetic", "geometric"))
    least = cross_entropy(s, arithmetic.expand_as(s)).sum()
    least_reverse = kl(geometric.expand_as(s), s).sum()
    for other in some_law(500, 4, seed=1):
        assert cross_entropy(s, other.expand_as(s)).sum() > least
        assert kl(other.expand_as(s), s).sum() > least_reverse
    assert torch.allclose(arithmetic, s.mean(0))
    assert min(float(total_variation(arithmetic, one)) for one in s) > 0.01
    with pytest.raises(ValueError, match="no geometric mean"):
        average_of_teachers([[1.0, 0.0], [0.0, 1.0]], "geometric")
    with pytest.raises(ValueError, match="'arithmetic' or 'geometric'"):
        average_of_teachers(s, "harmonic")


@pytest.mark.proves("prop-blend")
@pytest.mark.covers("S4-72", "E96")
@pytest.mark.covers("E96")
def test_labels_and_teacher_act_as_one_target():
    y, s = torch.eye(3, dtype=DOUBLE)[0], torch.tensor([0.49007, 0.40013, 0.1098], dtype=DOUBLE)
    target = blend(y, s, 0.4)
    assert target.tolist() == pytest.approx([0.79603, 0.16005, 0.04392], abs=1e-5)
    for q in some_law(50, 3):
        apart = 0.6 * cross_entropy(y, q) + 0.4 * cross_entropy(s, q)
        assert float(apart) == pytest.approx(float(cross_entropy(target, q)), abs=1e-12)
        assert apart >= cross_entropy(target, target)
    with pytest.raises(ValueError, match=r"pi of the teacher in \[0, 1\]"):
        blend(y, s, 1.2)


@pytest.mark.covers("S4-72")
def test_the_iteration_ends_where_the_student_is_the_blend_of_labels_and_its_own_teacher(g):
    student, x = nn.Linear(1, 2).double(), torch.ones(4, 1).double()
    y, truth = torch.tensor([0, 1, 0, 0]), torch.tensor([[0.2], [0.8]]).double()

    def teacher(x: Tensor, p: Tensor) -> Tensor:
        return rule_teacher(p, truth.expand(len(p), 2, 1), [1.0])

    distill(student, x, y, teacher, pi=0.5, epochs=200, lr=0.1, generator=g)
    p = student(x[0]).softmax(-1).detach()
    right = torch.tensor([0.75, 0.25], dtype=DOUBLE)
    for _ in range(200):
        right = 0.5 * torch.tensor([0.75, 0.25]) + 0.5 * rule_teacher(right, truth, [1.0])
    assert torch.allclose(p, right, atol=1e-3)


@pytest.mark.covers("S4-71", "E99")
@pytest.mark.covers("E99")
def test_a_student_learns_from_inputs_without_labels_through_its_teacher(g):
    # Inputs of the second kind have no label; a rule says of them what they are.
    x = torch.eye(2, dtype=DOUBLE).repeat(10, 1)
    y = torch.tensor([0, -1] * 10)

    def teacher(x: Tensor, p: Tensor) -> Tensor:
        truth = torch.where(x[:, 1:] == 1, torch.tensor([0.0, 1.0]), torch.ones(2))
        return rule_teacher(p, truth[..., None].double(), [3.0])

    student = nn.Linear(2, 2).double()
    distill(student, x, y, teacher, pi=0.5, epochs=200, lr=0.05, generator=g)
    assert student(x[:2]).argmax(1).tolist() == [0, 1]
    assert student(x[1:2]).softmax(-1)[0, 1] > 0.9
    with pytest.raises(ValueError, match="Every label is missing"):
        distill(student, x, torch.full((20,), -1), teacher)
    with pytest.raises(ValueError, match="A missing label is −1"):
        distill(student, x, y.double(), teacher)
    with pytest.raises(ValueError, match="A missing label is −1"):
        distill(student, x, y[:5], teacher)


def test_the_teachers_share_grows_from_nothing_to_its_most():
    schedule = imitation(0.9, 0.95)
    shares = [schedule(t) for t in range(100)]
    assert shares[0] == 0
    assert shares == sorted(shares)
    assert shares[-1] == 0.9
    assert schedule(1) == pytest.approx(0.05)
    with pytest.raises(ValueError, match="temperature T > 0"):
        soften(torch.zeros(2), 0)
    with pytest.raises(ValueError, match="of one shape"):
        distillation_loss(torch.zeros(2), torch.zeros(3))
