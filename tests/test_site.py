"""The built site in a browser: every page, with every other host blocked."""

import functools
import http.server
import itertools
import re
import shutil
import subprocess
import threading
from pathlib import Path
from statistics import median

import pytest
from playwright.sync_api import sync_playwright

from genlab.course.doctor import BROWSERS
from genlab.course.release.printed import ALONE
from genlab.course.release.slides import slides
from genlab.course.site import build

ROOT = Path(__file__).parents[1]
CHROMIUM = next((found for name in BROWSERS if (found := shutil.which(name))), None)

pytestmark = pytest.mark.skipif(
    CHROMIUM is None or shutil.which("npm") is None,
    reason="Chromium and npm are needed to test the pages (Debian: apt install chromium npm)",
)


class Quiet(http.server.SimpleHTTPRequestHandler):
    protocol_version = "HTTP/1.1"  # one connection for many files

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site() -> str:
    """Address of the built site, served on this machine."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("CI", raising=False)  # the budget of a page is for a machine without tests
        html = build(ROOT).parent
    if not (ROOT / "book" / "node_modules" / "axe-core").is_dir():
        subprocess.run(["npm", "ci", "--ignore-scripts"], cwd=ROOT / "book", check=True)
    handler = functools.partial(Quiet, directory=html)
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=ALONE)
        yield chromium
        chromium.close()


class Visit:
    """A page opened with other hosts blocked; what went wrong is kept."""

    def __init__(self, browser, site, path, **context):
        self.context = browser.new_context(**context)
        self.refused, self.faults, self.transferred, self.requests = [], [], 0, 0
        elsewhere = re.compile(f"^(?!{re.escape(site)}|data:|blob:)")
        self.context.route(elsewhere, self._refuse)
        self.page = self.context.new_page()
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.faults.append(str(error)))
        self.page.on("response", self._response)
        self.page.add_init_script(SHIFT)
        self.page.goto(site + path)
        self.page.wait_for_load_state("networkidle")
        self.page.wait_for_function("!window.MathJax?.startup || MathJax.startup.promise")
        self.page.evaluate("window.MathJax?.startup?.promise")

    def _refuse(self, route):
        self.refused.append(route.request.url)
        route.abort()

    def _console(self, message):
        if message.type in ("error", "warning"):
            self.faults.append(message.text)

    def _response(self, response):
        self.requests += 1
        if response.status >= 400:
            self.faults.append(f"{response.status} {response.url}")
        elif response.status == 200 and not response.url.startswith(("data:", "blob:")):
            self.transferred += int(response.headers.get("content-length", 0))


# Cumulative layout shift, as browsers define it (without shifts right after input).
SHIFT = """
window.shift = 0;
new PerformanceObserver(list => {
  for (const entry of list.getEntries()) if (!entry.hadRecentInput) window.shift += entry.value;
}).observe({type: 'layout-shift', buffered: true});
"""


def pages() -> list[str]:
    """Every page of _toc.yml."""
    lines = (ROOT / "_toc.yml").read_text().splitlines()
    files = [line.split(":", 1)[1].strip() for line in lines if "file:" in line or "root:" in line]
    return [f"{file}.html" for file in files]


def has_formulas(path: str) -> bool:
    source = ROOT / path.replace(".html", ".md")
    source = source if source.is_file() else source.with_suffix(".ipynb")
    return "$" in re.sub(r"(?s)```.*?```|`[^`]*`", "", source.read_text())  # and not of a shell


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("path", pages())
def test_a_page(site, browser, path, theme):
    """One visit a theme: nothing refused, nothing moves, nothing hidden, at two widths."""
    visit = Visit(browser, site, path, color_scheme=theme, viewport={"width": 1280, "height": 900})
    page = visit.page
    assert visit.refused == [], "other hosts were asked"
    assert visit.faults == [], "errors in the console"
    assert visit.transferred < 3_000_000
    if theme == "light" and (shift := page.evaluate("window.shift")) > 0.02:
        # On a busy machine it is chance what arrives first: two more visits decide.
        shifts = [shift, *(shift_of_a_visit(browser, site, path) for _ in range(2))]
        assert median(shifts) <= 0.02, f"the page moved while it loaded: {shifts}"
    if has_formulas(path):
        assert page.locator("mjx-container").count() > 0
        assert page.locator("mjx-merror").count() == 0
    bad = page.evaluate(
        "[...document.querySelectorAll('main img')].filter(i => !i.alt || i.alt.length < 20)"
        ".map(i => i.src)"
    )
    assert bad == [], "images without alt text"
    levels = page.evaluate(
        "[...document.querySelectorAll('article :is(h1,h2,h3,h4,h5,h6)')].map(h => +h.tagName[1])"
    )
    assert levels[0] == 1
    assert all(b <= a + 1 for a, b in itertools.pairwise(levels)), levels
    assert serious_violations(page) == []
    for width in (1280, 390):
        page.set_viewport_size({"width": width, "height": 900})
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, width
    visit.context.close()


def shift_of_a_visit(browser, site, path) -> float:
    visit = Visit(browser, site, path, viewport={"width": 1280, "height": 900})
    shift = visit.page.evaluate("window.shift")
    visit.context.close()
    return shift


# What axe-core finds serious or critical; of what it finds right it would tell at great length.
SERIOUS = """
axe.run({ resultTypes: ["violations"] }).then(found => found.violations
  .filter(rule => ["serious", "critical"].includes(rule.impact))
  .flatMap(rule => rule.nodes.map(node => [rule.id, node.html, node.failureSummary])))
"""


def serious_violations(page) -> list[list[str]]:
    """What axe-core, which npm installs with the site's files, says of a page."""
    page.add_script_tag(path=ROOT / "book" / "node_modules" / "axe-core" / "axe.min.js")
    return page.evaluate(SERIOUS)


def test_a_request_to_another_host_would_be_refused_and_seen(site, browser):
    visit = Visit(browser, site, "book/index.html")
    visit.page.evaluate("fetch('https://example.org/').catch(() => null)")
    assert visit.refused == ["https://example.org/"]
    assert len(visit.faults) == 1
    visit.context.close()


@pytest.mark.parametrize("word", ["histogram", "bandwidth"])
def test_search_finds_the_chapter(site, browser, word):
    visit = Visit(browser, site, f"search.html?q={word}")
    visit.page.wait_for_selector("#search-results li a")
    links = visit.page.locator("#search-results li a").evaluate_all("a => a.map(x => x.href)")
    assert any("book/01_density.html" in link for link in links)
    assert visit.refused == []
    assert visit.faults == []
    visit.context.close()


def test_the_two_themes_show_their_own_figures(site, browser):
    for theme, other in (("light", "dark"), ("dark", "light")):
        visit = Visit(browser, site, "book/01_density.html", color_scheme=theme)
        assert visit.page.locator(f"article img.only-{theme}").first.is_visible()
        assert not visit.page.locator(f"article img.only-{other}").first.is_visible()
        visit.context.close()


def test_a_chapter_and_its_exercises_can_be_downloaded_as_notebooks(site, browser):
    import nbformat

    for path in ("book/01_density", "exercises/01_density"):
        visit = Visit(browser, site, f"{path}.html")
        link = visit.page.locator(f'a[href$="{path.split("/")[1]}.ipynb"]').first
        address = link.evaluate("a => a.href")
        text = visit.context.request.get(address).text()
        nb = nbformat.reads(text, 4)
        nbformat.validate(nb)
        assert "\\pdata" not in text
        assert len(nb.cells) > 20
        visit.context.close()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_explorable_reacts_by_pointer_and_by_keyboard(site, browser, width):
    visit = Visit(browser, site, "book/01_density.html", viewport={"width": width, "height": 900})
    figure = visit.page.locator("gen-density")
    figure.scroll_into_view_if_needed()
    ball = figure.locator("circle.ball")
    ball.wait_for()
    slider, said = (
        figure.locator("input[type=range]").first,
        figure.locator("svg[aria-label]").first,
    )

    def state() -> tuple[str, str]:
        """What the figure says and where the ball is, once it is painted."""
        visit.page.evaluate(
            "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )
        return said.get_attribute("aria-label"), ball.get_attribute("cx")

    start = state()
    slider.focus()
    for _ in range(5):
        visit.page.keyboard.press("ArrowLeft")
    by_keyboard = state()
    assert by_keyboard[0] != start[0]
    assert float(by_keyboard[1]) < float(start[1])

    ball.scroll_into_view_if_needed()
    box = ball.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    visit.page.mouse.move(x, y)
    visit.page.mouse.down()
    visit.page.mouse.move(x - 60, y, steps=4)
    visit.page.mouse.up()
    assert float(state()[1]) < float(by_keyboard[1])

    figure.get_by_role("button", name="reset").click()
    assert state() == start
    visit.page.get_by_role("button", name="the best h").click()
    assert "h = 0.440" in state()[0]
    assert visit.faults == []
    visit.context.close()


EXPLORABLE = re.compile(r"^:::\{explorable\} (\w+)", re.MULTILINE)
FIGURES = [
    (page.stem, name)
    for page in sorted((ROOT / "book").glob("*.md"))
    for name in EXPLORABLE.findall(page.read_text(encoding="utf8"))
]


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize(("page", "name"), FIGURES)
def test_every_figure_that_computes_reacts_and_resets(site, browser, page, name, width):
    view = {"width": width, "height": 900}
    visit = Visit(browser, site, f"book/{page}.html", viewport=view, reduced_motion="reduce")
    figure = visit.page.locator(f"gen-{name}")
    still = figure.bounding_box()["height"]
    figure.scroll_into_view_if_needed()
    figure.locator("svg").first.wait_for()
    assert abs(figure.bounding_box()["height"] - still) <= 12, "the text below jumps"

    def state() -> str:
        """What the figure says and draws, once it is painted."""
        visit.page.evaluate(
            "new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))"
        )
        return figure.evaluate(
            "f => f.innerText + [...f.querySelectorAll('path, circle')]"
            ".map(e => (e.getAttribute('d') ?? '') + e.getAttribute('cx')).join()"
        )

    def reset() -> None:
        figure.get_by_role("button", name="reset").click()

    start = state()
    tries = visit.page.locator(f'button[data-explorable="{name}"]')
    assert tries.count() >= 2
    for i in range(tries.count()):
        before = state()
        tries.nth(i).click()
        assert state() not in (before, ""), f"button {i + 1} of the prose changes nothing"
    reset()
    assert state() == start
    sliders = figure.locator("input[type=range]")
    moved = 0
    for i in range(sliders.count()):
        sliders.nth(i).focus()
        before = state()
        for _ in range(3):
            visit.page.keyboard.press("ArrowRight")
        moved += state() != before
        assert state() != "", "the figure went blank"
    assert moved >= 1, "no slider moves anything"
    reset()
    assert state() == start
    assert visit.faults == []
    visit.context.close()


# --- The slides that are made from the pages ---------------------------------------------------

DECKS = [page.stem for page in sorted((ROOT / "book").glob("[0-9][0-9]_*.md"))]


@pytest.fixture(scope="module")
def decks(site, tmp_path_factory) -> str:
    """Address of the folder with the slides: they are opened from files."""
    folder = tmp_path_factory.mktemp("slides")
    slides(ROOT, ROOT / "_build" / "html", folder)
    return f"file://{folder}/"


def lecture(browser, decks, path, width=1280) -> Visit:
    """A deck on a projector, once it has begun."""
    visit = Visit(browser, decks, path, viewport={"width": width, "height": width * 9 // 16})
    visit.page.wait_for_function("window.Reveal?.isReady()")
    return visit


# Each slide is shown with all its steps; what is cut off, or too small for the last row, is named.
UNREADABLE = """
const inside = (part, whole) => part.left >= whole.left - 1 && part.right <= whole.right + 1
  && part.top >= whole.top - 1 && part.bottom <= whole.bottom + 1;
const text = part => [...part.childNodes].some(node => node.nodeType === 3 && node.data.trim());
const solid = "p, li, pre, td, img, svg:not(svg svg), mjx-container, button, input";
const found = [];
for (const slide of Reveal.getSlides()) {
  const { h, v } = Reveal.getIndices(slide);
  Reveal.slide(h, v, 99);
  const page = slide.getBoundingClientRect(), body = slide.querySelector(".body");
  const out = [...body.querySelectorAll(solid)]
    .filter(part => !inside(part.getBoundingClientRect(), page));
  const over = body.scrollHeight > body.clientHeight + 1 || body.scrollWidth > body.clientWidth + 1;
  const small = [...body.querySelectorAll(":not(.explorable *, mjx-container *)")]
    .filter(part => text(part) && parseFloat(getComputedStyle(part).fontSize) < 14);
  const low = [...body.querySelectorAll("img")].filter(image => image.clientHeight < 200);
  for (const part of [...out, ...small, ...low]) found.push([h, v, part.outerHTML.slice(0, 200)]);
  if (over) found.push([h, v, "overflows"]);
}
return found;
"""


@pytest.mark.parametrize("name", DECKS)
def test_a_deck_can_be_read_from_the_last_row(browser, decks, name):
    visit = lecture(browser, decks, f"{name}.html", width=960)
    page = visit.page
    assert visit.refused == [], "other hosts were asked"
    assert page.evaluate(f"() => {{{UNREADABLE}}}") == []
    assert page.evaluate("Reveal.getTotalSlides()") > 30
    assert page.locator("mjx-container").count() > 30
    assert page.locator("mjx-merror, .notes merror").count() == 0
    assert page.evaluate("[...document.images].filter(i => !i.naturalWidth).length") == 0
    assert page.locator(".slides img:not([alt])").count() == 0
    assert visit.faults == []
    visit.context.close()


@pytest.mark.parametrize(("name", "figure"), FIGURES)
def test_on_a_slide_a_figure_computes_and_the_keys_still_turn_the_pages(
    browser, decks, name, figure
):
    visit = lecture(browser, decks, f"{name}.html")
    page, live = visit.page, visit.page.locator(f"gen-{figure}")

    def at() -> dict:
        return page.evaluate("Reveal.getIndices()")

    def state() -> str:
        page.evaluate("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")
        return live.evaluate(
            "f => f.innerText + [...f.querySelectorAll('path, circle')]"
            ".map(e => (e.getAttribute('d') ?? '') + e.getAttribute('cx')).join()"
        )

    page.evaluate(
        "name => { const { h, v } = Reveal.getIndices(document.querySelector(`gen-${name}`)"
        ".closest('section')); Reveal.slide(h, v); }",
        figure,
    )
    here, start = at(), state()
    slider = live.locator("input[type=range]").last
    slider.focus()
    for _ in range(3):
        page.keyboard.press("ArrowRight")
    moved = state()
    assert moved != start
    assert at() == here, "an arrow key moved the slider and turned the page"
    box = slider.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 4, box["y"] + box["height"] / 2)
    assert state() not in (start, moved)
    page.wait_for_function("document.activeElement === document.body")
    page.keyboard.press("ArrowRight")
    assert at()["h"] == here["h"] + 1
    assert visit.faults == []
    visit.context.close()


def test_the_speaker_has_the_text_of_the_page(browser, decks):
    visit = lecture(browser, decks, "00_models.html#/which-parameters-the-most-likely-ones")
    with visit.context.expect_page() as opened:
        visit.page.keyboard.press("s")
    notes = opened.value.locator(".speaker-controls-notes .value")
    notes.get_by_text("Suppose that each counts successes in eight trials").wait_for()
    assert notes.locator("math").count() > 0
    assert visit.refused == []
    visit.context.close()


def test_a_deck_prints_a_page_a_slide(browser, decks):
    visit = lecture(browser, decks, "00_models.html?print-pdf")
    printed = visit.page.locator(".pdf-page")
    assert printed.count() == visit.page.evaluate("Reveal.getTotalSlides()")
    assert visit.page.locator(".pdf-page img").first.evaluate("i => i.clientHeight") > 200
    visit.context.close()
