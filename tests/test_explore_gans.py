"""The figure of chapter 08: its game is genlab's, and what the page says of it is so."""

import math
import re
from functools import partial

import matplotlib as mpl
import pytest
import torch
from conftest import javascript
from torch import nn
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from genlab import plot
from genlab.course.explorables import gans as figure
from genlab.course.explorables.gans import (
    BATCH,
    CLIP,
    ETA,
    GAMMA,
    LAWS,
    LONGEST,
    LOSSES,
    PULL,
    SHOWN,
    SPAN,
    START,
    STEPS,
    WALK,
    WIDTH,
    examples,
    noise,
    played,
    pulls,
    start,
)
from genlab.gans import (
    Discriminator,
    clip_critic,
    coverage,
    dirac_gan,
    eigenvalues,
    simultaneous,
    trajectory,
)
from genlab.gans.dynamics import FORCES
from genlab.interact import SOURCES, explore_gans, script
from genlab.nets import MLP

NAMES, GAMES = list(LAWS), list(LOSSES)
# What the page may press, with the story of the game behind it.
AHEAD, FEW, FIRST = "30_1_20_0.02_0.001", "240_0_1_0.003_0.03", "250_0_1_0.02_0.005"
SLOW = 0.1
GAME = "((name, story) => { const { G, D } = played(LAWS[name], story); return { G, D }; })"
LOOK = "((name, story, loss) => look(played(LAWS[name], story), loss))"


@pytest.fixture(scope="module")
def js():
    return javascript("gans")


def same(found, expected, atol=1e-9):
    found = torch.tensor(found, dtype=torch.float64)
    torch.testing.assert_close(found, expected.detach().double(), rtol=0, atol=atol)


def weights(net):
    """All weights of a network of the page; an array of floats comes as {"0": …, "1": …}."""
    return [v for layer in net["layers"] for v in layer["w"].values()]


def network(g, outputs=1):
    """A perceptron with all weights drawn, and the same one as the page holds it."""
    net = MLP(2, outputs, (7, 5), activation=nn.Tanh, generator=g).double()
    drawn = [0.8 * torch.randn(w.shape, generator=g, dtype=w.dtype) for w in net.parameters()]
    vector_to_parameters(parameters_to_vector(drawn), net.parameters())
    layers = [
        {"inputs": w.shape[1], "outputs": len(w), "w": [*w.flatten().tolist(), *b.tolist()]}
        for w, b in zip(drawn[::2], drawn[1::2], strict=True)
    ]
    return net.requires_grad_(False), {"layers": layers}


def learning(function):
    """A call of the page with a network as its first argument, given its arrays of floats."""
    return (
        f"((net, ...rest) => {function}({{ t: 0, layers: net.layers.map(layer => {{"
        " const w = Float64Array.from(layer.w), zeros = () => w.map(() => 0);"
        " return { ...layer, w, g: zeros(), m: zeros(), v: zeros() }; }) }, ...rest))"
    )


@pytest.mark.parametrize("seed", [-4, -1, 0, 1, 20, 123_456])
def test_the_noise_of_the_page_is_genlabs(js, seed):
    same(js("noise", seed, 200), noise(seed, 200), atol=1e-12)


def test_the_noise_is_uniform_and_normal():
    u, *normals = torch.cat([noise(i, BATCH) for i in range(1, 401)]).T
    n = len(u)
    assert abs(u.mean() - 0.5) < 4.5 / math.sqrt(12 * n)
    for x in normals:
        assert abs(x.mean()) < 4.5 / math.sqrt(n)
        assert abs(x.square().mean() - 1) < 4.5 * math.sqrt(2 / n)
    assert abs((normals[0] * normals[1]).mean()) < 4.5 / math.sqrt(n)
    assert u.unique().numel() > 0.99 * n


@pytest.mark.parametrize("name", NAMES)
def test_the_examples_of_the_page_are_genlabs(js, name):
    called = "((name, seed, n) => noise(seed, n).map(triple => example(LAWS[name], triple)))"
    x = examples(name, noise(9, 3000))
    same(js(called, name, 9, 3000), x, atol=1e-12)
    assert x.abs().max() < SPAN
    law = LAWS[name]
    back = 1.5 * x + torch.tensor([0.5, 0.25]) if name == "two moons" else x
    # Drawn by the law itself, their mean log-density would be the same but for chance.
    own = law.log_prob(law.sample(len(x), generator=torch.Generator().manual_seed(1)).double())
    error = own.std() * math.sqrt(2 / len(x))
    assert abs(law.log_prob(back).mean() - own.mean()) < 4.5 * error


def test_the_page_knows_no_other_law(js):
    assert js("(() => Object.keys(LAWS))") == NAMES
    assert js("(() => LOSSES)") == GAMES
    assert js("(() => NAMES.map(name => name.toLowerCase()))") == GAMES
    assert sorted(GAMES) == sorted(FORCES)


def test_your_own_points_are_drawn_and_nothing_else(js):
    points = [[0.25, -1.0], [1.0, 0.5], [-1.0, 0.0]]
    called = "((points, n) => noise(3, n).map(triple => example(given(points), triple)))"
    drawn = js(called, points, 900)
    counts = [drawn.count(point) for point in points]
    assert sum(counts) == 900
    assert min(counts) > 300 - 4.5 * math.sqrt(200)
    assert js("((points) => coverage([[0, 0]], given(points)) ?? 'nothing')", points) == "nothing"


@pytest.mark.parametrize(("outputs", "seed"), [(2, -1), (1, -2)])
def test_both_start_from_the_same_weights(js, outputs, seed):
    net = start(outputs, seed)
    found = js("perceptron", [2, WIDTH, WIDTH, outputs], seed)
    same(weights(found), parameters_to_vector(net.parameters()), atol=0)
    for layer, size in ((net[0], 2), (net[2], WIDTH), (net[4], WIDTH)):
        most = parameters_to_vector(layer.parameters()).abs().max()
        assert 0.7 / math.sqrt(size) < most <= 1 / math.sqrt(size)


@pytest.mark.parametrize("k", [1, 3])
@pytest.mark.parametrize("loss", GAMES)
@pytest.mark.parametrize("name", NAMES)
def test_after_20_steps_the_parameters_are_those_of_play(js, name, loss, k):
    G, D = played(name, 20, loss, k, d_rate=0.02, g_rate=0.005)
    found = js(GAME, name, f"20_{GAMES.index(loss)}_{k}_0.02_0.005")
    for player, net in (("G", G), ("D", D)):
        same(weights(found[player]), parameters_to_vector(net.parameters()))
    if loss == "wasserstein":
        assert parameters_to_vector(D.parameters()).abs().max() == CLIP
    moved = parameters_to_vector(G.parameters()) - parameters_to_vector(start(2, -1).parameters())
    assert moved.abs().max() > 0.005


def test_the_forces_are_genlabs(js, g):
    a = 6 * torch.randn(50, generator=g, dtype=torch.float64)
    for loss, forces in FORCES.items():
        found = js("((loss, a) => FORCES[loss].map(f => a.map(f)))", loss, a.tolist())
        same(found, torch.stack([force(a) for force in forces]), atol=1e-14)


@pytest.mark.parametrize("loss", GAMES)
def test_an_arrow_is_minus_the_slope_of_the_generators_loss(js, g, loss):
    net, told = network(g)
    x = torch.randn(16, 2, generator=g, dtype=torch.float64)
    found = js(
        learning("((D, x, loss) => [...pulls(D, x, loss)])"), told, x.flatten().tolist(), loss
    )
    same(found, pulls(Discriminator(net), x, loss).flatten(), atol=1e-12)


def test_backward_is_the_gradient_of_torch(js, g):
    """Of the weights and of the inputs, for any slopes at two outputs."""
    net, told = network(g, outputs=2)
    net.requires_grad_(True)
    x = torch.randn(9, 2, generator=g, dtype=torch.float64, requires_grad=True)
    slopes = torch.randn(9, 2, generator=g, dtype=torch.float64)
    expected = torch.autograd.grad((net(x) * slopes).sum(), [x, *net.parameters()])
    called = learning(
        "((net, x, slopes) => [...backward(net, forward(net, x), slopes),"
        " ...net.layers.flatMap(layer => [...layer.g])])"
    )
    found = js(called, told, x.flatten().tolist(), slopes.flatten().tolist())
    same(found, torch.cat([part.flatten() for part in expected]), atol=1e-12)


def test_the_field_is_d_at_the_middles_of_the_pixels(js, g):
    net, told = network(g)
    grain = js("(() => GRAIN)")
    at = ((torch.arange(grain, dtype=torch.float64) + 0.5) / grain * 2 - 1) * SPAN
    logits = net(torch.cartesian_prod(-at, at).flip(1))[:, 0]
    field = js(learning("(D => [...field(D)])"), told)
    same(field, logits, atol=1e-12)
    same(js("shades", field, "saturating"), 2 * logits.sigmoid() - 1, atol=1e-12)
    low, high = logits.aminmax()
    same(js("shades", field, "wasserstein"), 2 * (logits - low) / (high - low) - 1, atol=1e-12)


def test_the_grid_is_that_of_the_noise(js, g):
    net, told = network(g, outputs=2)
    lines = torch.tensor(js(learning("warped"), told), dtype=torch.float64)
    c, t = (torch.linspace(-2, 2, n, dtype=torch.float64) for n in (9, 41))
    one = torch.cartesian_prod(c, t).view(9, 41, 2)
    same(lines[::2].tolist(), net(one), atol=1e-12)
    same(lines[1::2].tolist(), net(one.flip(2)), atol=1e-12)


@pytest.mark.parametrize("name", NAMES[:2])
def test_modes_and_quality_are_genlabs(js, g, name):
    law = LAWS[name]
    for spread in (0.02, 0.1, 0.6):
        few = law.centres[torch.randint(5, (60,), generator=g)]
        x = few + spread * torch.randn(60, 2, generator=g, dtype=torch.float64)
        expected = coverage(x, law)
        found = js("((x, name) => coverage(x, LAWS[name]))", x.tolist(), name)
        assert found["modes"] == expected.modes
        assert found["quality"] == pytest.approx(expected.quality)


@pytest.mark.parametrize("loss", GAMES)
def test_what_is_looked_at_is_genlabs(js, loss):
    G, D = played("ring of 8", 20)
    told = js(LOOK, "ring of 8", "20_0_1_0.02_0.005", loss)
    data, draws = examples("ring of 8", noise(-4, SHOWN)), G(noise(-3, SHOWN)[:, 1:])
    same(told["data"], data)
    same(told["draws"], draws)
    slopes = pulls(D, draws, loss)
    same(told["slopes"], slopes)
    same(told["median"], slopes.norm(dim=1).sort()[0][SHOWN // 2])
    means = [D(x) if loss == "wasserstein" else D(x).sigmoid() for x in (data, draws)]
    same(told["means"], torch.stack(means).mean(1))
    assert told["found"]["modes"] == coverage(draws, LAWS["ring of 8"]).modes


@pytest.mark.parametrize("loss", GAMES)
def test_the_velocity_of_the_dirac_gan_is_genlabs(js, g, loss):
    for gamma in (0.0, 0.3, 2.0):
        states = 2 * torch.randn(16, 2, generator=g, dtype=torch.float64)
        called = "((states, loss, gamma) => states.map(s => velocity(s, loss, gamma)))"
        found = js(called, states.tolist(), loss, gamma)
        same(found, dirac_gan(loss, r1=gamma)(states), atol=1e-13)


@pytest.mark.parametrize("loss", GAMES)
def test_the_way_of_the_dirac_gan_is_genlabs(js, g, loss):
    bound = js("(() => BOUND)")

    def step(s, field, eta):
        s = simultaneous(field, s, eta)
        return clip_critic(s, bound) if loss == "wasserstein" else s

    for eta, gamma in ((0.05, 0.0), (0.5, 0.0), (1.0, 0.4), (0.2, 2.0)):
        at = torch.rand(2, generator=g, dtype=torch.float64) - 0.5
        field = dirac_gan(loss, r1=gamma)
        expected = trajectory(partial(step, field=field, eta=eta), at, 60)
        same(js("way", at.tolist(), 60, loss, eta, gamma), expected)


@pytest.mark.parametrize("loss", GAMES)
def test_the_factor_is_that_of_the_eigenvalues(js, g, loss):
    for eta, gamma in torch.rand(16, 2, generator=g, dtype=torch.float64).tolist():
        for strength in (0.0, gamma, 2.5 * gamma):
            field = dirac_gan(loss, r1=strength)
            expected = (1 + eta * eigenvalues(field, torch.zeros(2))).abs().max()
            assert js("factor", loss, eta, strength) == pytest.approx(float(expected), abs=1e-6)
    assert js("factor", "wasserstein", 0.75, 0) == pytest.approx(1.25)


def test_a_longer_story_goes_on_with_the_game(js):
    called = """((first, more) => {
      const law = LAWS["ring of 8"], game = played(law, first);
      const on = played(law, more, game), again = played(law, more);
      return { same: on === game, net: [on, again].map(({ G }) => [...G.layers[1].w]) };
    })"""
    longer = js("longer", "3_0_1_0.01_0.01", 4, [1, 2, 0.01, 0.02])
    assert longer == "3_0_1_0.01_0.01~4_1_2_0.01_0.02"
    assert js("longer", longer, 2, [1, 2, 0.01, 0.02]) == "3_0_1_0.01_0.01~6_1_2_0.01_0.02"
    found = js(called, "3_0_1_0.01_0.01", longer)
    assert found["same"]
    assert found["net"][0] == found["net"][1]
    other = js(called, "3_0_1_0.01_0.02", longer)
    assert not other["same"], "another beginning is another game"
    assert other["net"][0] == other["net"][1] == found["net"][1]
    assert not js(called, longer, "3_0_1_0.01_0.01")["same"], "nothing is played backwards"


def test_a_link_may_hold_anything(js):
    assert js("pieces", "") == js("pieces", "x~1_2_3~nonsense_0_1_0.01_0.01") == []
    assert js("pieces", "2.9_7_-3_5_0") == [[2, 2, 1, 0.1, 0.0001]]
    most = js("(() => MOVES)")
    assert js("pieces", "1e9_0_20_0.01_0.01~5_0_1_0.01_0.01") == [
        [most // 20, 0, 20, 0.01, 0.01],
        [0, 0, 1, 0.01, 0.01],
    ]
    assert js("longer", "", 1, [0, 1, 0.012345, 0.01]) == "1_0_1_0.012_0.01"


def test_a_game_says_when_it_is_over(js):
    """With steps that count as played, so that none has to be."""
    most = js("(() => MOVES)")
    called = """(story => {
      const law = LAWS["ring of 8"];
      const steps = pieces(story).flatMap(([n, ...settings]) => Array(n).fill(settings));
      return played(law, story, { law, steps }).over;
    })"""
    for k in (1, 20):
        over = [js(called, f"{most // k - left}_0_{k}_0.01_0.01") for left in (0, 1)]
        assert over == [", the last", ""]
    assert js(called, "") == ""


def test_an_arrow_has_a_head_and_points_along(js):
    numbers = [float(v) for v in re.findall(r"-?[\d.]+", js("arrow", [10, 20], [30, 0]))]
    assert numbers[:4] == [10, 20, 40, 20]
    wings = numbers[4:6], numbers[8:10]
    assert [x for x, _ in wings] == [36, 36]
    assert sorted(y for _, y in wings) == [18, 22]
    assert js("arrow", [10, 20], [0.5, 0.5]) == ""


def test_what_the_page_says_of_the_first_game(js):
    told = js(LOOK, "ring of 8", FIRST, "non-saturating")
    assert told["found"]["modes"] == 6
    assert [round(v, 2) for v in told["means"]] == [0.59, 0.43]


def test_where_d_is_ahead_the_arrows_of_the_saturating_loss_are_gone(js):
    saturating, practical = (js(LOOK, "ring of 8", AHEAD, loss) for loss in GAMES[1::-1])
    assert [round(v, 2) for v in saturating["means"]] == [0.94, 0.07]
    assert round(saturating["median"], 2) == 0.03
    assert round(practical["median"]) == 14
    assert saturating["draws"] == practical["draws"]


def test_where_g_is_ahead_it_leaves_modes_out_and_wanders(js):
    told = js(LOOK, "ring of 8", FEW, "non-saturating")
    later = js(LOOK, "ring of 8", FEW.replace("240", "340"), "non-saturating")
    assert (told["found"]["modes"], later["found"]["modes"]) == (2, 1)
    middle, moved = (torch.tensor(each["draws"]).mean(0) for each in (told, later))
    assert (moved - middle).norm() > 0.3


def test_what_the_page_says_of_the_dirac_gan(js):
    radius = "((...game) => Math.hypot(...way(...game).at(-1)))"
    out, rest = (js(radius, list(START), WALK, GAMES[0], ETA, gamma) for gamma in (0, GAMMA))
    assert round(out, 2) == 0.96
    assert abs(out - math.sqrt(2 * ETA)) < 0.05, "a circle of radius about √(2η)"
    assert rest < 1e-8
    slow = [js(radius, list(START), n, GAMES[0], SLOW, 0) for n in (WALK, 10 * WALK)]
    assert round(slow[0], 2) == 0.34, "the way is longer"
    assert abs(slow[1] - math.sqrt(2 * SLOW)) < 0.01
    for eta in (0.01, SLOW, ETA, 1.0):
        near = js("factor", GAMES[0], eta, 0)
        assert near == pytest.approx(math.sqrt(1 + eta**2 / 4))
        assert f"{near:.6f}" > "1.000000"
    assert js("factor", GAMES[0], ETA, GAMMA) == pytest.approx(math.sqrt(0.8125))
    assert js("factor", GAMES[0], 1, 0.25) == pytest.approx(1)


def test_the_module_names_what_the_page_may_press():
    text = (SOURCES / "gans.mjs").read_text(encoding="utf8")
    tries = text[text.index("  tries = {") : text.index("  initial()")]
    names = ["one", "ten", "hundred", "start", "ahead", "other", "few", "slow", "rest"]
    assert re.findall(r"\b(\w+): \[\"", tries) == names
    assert re.findall(r'story: "([^"]+)"', tries) == [AHEAD, FEW]
    penalties = [0, GAMMA]
    assert [float(v) for v in re.findall(r"gamma: ([\d.]+)", tries)] == penalties
    assert [float(v) for v in re.findall(r"eta: ([\d.]+)", tries)] == [SLOW, ETA]


def test_the_figure_begins_where_the_static_one_stands(js):
    text = (SOURCES / "gans.mjs").read_text(encoding="utf8")
    first = text[text.index("  initial()") : text.index("  build()")]
    assert f'story: "{FIRST}"' in first
    assert f"{STEPS}_0_1_0.02_0.005" == FIRST
    assert f"eta: {ETA:g}, gamma: 0, start: {START[0]:g}" in first
    assert f"PULL = {PULL:g}, LONGEST = {LONGEST:g};" in text
    assert f"STEPS = {WALK};" in text
    assert js("(() => [BATCH, CLIP, WIDTH, SHOWN, SPAN])") == [BATCH, CLIP, WIDTH, SHOWN, SPAN]


def test_the_static_figure_shows_the_same(js):
    with mpl.rc_context(plot.STYLE):
        fig = figure()
    plane, dirac, radius = fig.axes
    told = js(LOOK, "ring of 8", FIRST, "non-saturating")
    # Rounding grows by a few hundred steps of a game, yet not beyond this.
    data, draws = (torch.tensor(line.get_xydata()) for line in plane.lines[-2:])
    same(told["data"], data)
    same(told["draws"], draws, atol=1e-5)
    slopes = torch.tensor(told["slopes"])
    arrows = slopes * (LONGEST / slopes.norm(dim=1, keepdim=True)).clamp(max=PULL)
    (quiver,) = plane.collections
    drawn = torch.stack([torch.tensor(part) for part in (quiver.U, quiver.V)], 1)
    same(arrows.tolist(), drawn, atol=1e-4)
    assert plane.get_title(loc="left") == f"step {STEPS}: {told['found']['modes']} of 8 modes"
    for line, gamma in zip(dirac.lines, (0, GAMMA), strict=True):
        way = js("way", list(START), WALK, GAMES[0], ETA, gamma)
        same(way, torch.tensor(line.get_xydata()))
    for line, walk in zip(radius.lines, dirac.lines, strict=True):
        same(line.get_ydata().tolist(), torch.tensor(walk.get_xydata()).norm(dim=1))
    assert [line.get_label() for line in radius.lines] == ["γ = 0", f"γ = {GAMMA:g}"]


def test_a_figure_of_your_own_points(g):
    x = 5 + torch.randn(40, 2, generator=g) * torch.tensor([3.0, 0.5])
    told = explore_gans(x).attributes["points"]
    found = torch.tensor([[float(v) for v in pair.split(",")] for pair in told.split(" ")])
    assert (found.amin(0)[0], found.amax(0)[0]) == (-1, 1)
    reach = (x.amax(0) - x.amin(0)).max() / 2
    torch.testing.assert_close((found - found[0]) * reach, x - x[0], rtol=0, atol=2e-3)
    assert torch.equal((found.amax(0) + found.amin(0)).round(decimals=3), torch.zeros(2))
    assert explore_gans().attributes == {}
    assert "<gen-gans " in explore_gans(x)._repr_html_()


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (torch.zeros(5), r"Expected 2 to 1000 points in the plane, .* got \(5,\)"),
        (torch.zeros(5, 3), r"got \(5, 3\)"),
        (torch.zeros(1, 2), r"got \(1, 2\)"),
        (torch.zeros(1001, 2), r"got \(1001, 2\)"),
        (torch.ones(4, 2), "not all equal"),
        (torch.tensor([[0.0, 1.0], [math.nan, 2.0]]), "Expected finite points"),
        (torch.tensor([[0.0, 1.0], [math.inf, 2.0]]), "Expected finite points"),
    ],
)
def test_points_that_do_not_fit_are_refused(points, sentence):
    with pytest.raises(ValueError, match=sentence):
        explore_gans(points)


def test_the_script_is_whole():
    text = script("gans")
    assert not re.search(r"^\s*(import|export)\b", text, flags=re.MULTILINE)
    assert "</script" not in text
