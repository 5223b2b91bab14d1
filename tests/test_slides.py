"""Slides: what stands on them, what is in the notes, and that a deck needs nothing else."""

import re
import shutil
from pathlib import Path

import pytest
from bs4 import BeautifulSoup
from small import small_course

from genlab.course import site
from genlab.course.audit import requests_elsewhere
from genlab.course.release.deck import deck
from genlab.course.release.prose import caption, opening, plain, sentences
from genlab.course.release.slides import STATIC, slides
from genlab.course.root import CourseError

FORMULA = '<span class="math">\\(x\\)</span>'
CLAIM = """<div class="proof theorem admonition" id="thm-one"><p class="admonition-title">Theorem 1
(One)</p><section id="proof-content"><p>One is one.</p></section>
<p class="checked-by">Checked by <code>test_one</code></p></div>"""


def html(text: str) -> BeautifulSoup:
    return BeautifulSoup(text, "html.parser")


def made(*blocks: str) -> list:
    """The slides of a section that holds these blocks."""
    section = f'<section id="part"><h2>Part</h2>{"".join(blocks)}</section>'
    page = f'<article><section id="all"><h1>All</h1>{section}</section></article>'
    return deck(html(page))[1]


def kinds(stack: list) -> list[str]:
    return [slide.kind for slide in stack]


def shown(slide) -> str:
    return " ".join(html("".join(slide.shown)).get_text(" ").split())


def code(lines: int, printed: int = 0, *, hidden: bool = False) -> str:
    source = "\n".join(f"line_{i} = {i}" for i in range(lines))
    told = "\n".join(f"told {i}" for i in range(printed))
    box = '<div class="{}"><div class="highlight"><pre>{}</pre></div></div>'
    cell = f'<div class="cell_input">{box.format("highlight-ipython3", source)}</div>'
    cell = f"<details>{cell}</details>" if hidden else cell
    output = box.format("output stream", told) if printed else ""
    return f'<div class="cell">{cell}<div class="cell_output">{output}</div></div>'


def proof(words: int) -> str:
    return f'<div class="proof admonition"><p>Proof. {"So it is. " * (words // 3)}</p></div>'


# --- Sentences ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("paragraph", "found"),
    [
        ("One. Two? Three!", ["One.", "Two?", "Three!"]),
        ("“One.” “Two.”", ["“One.”", "“Two.”"]),
        (f"Take {FORMULA}. Then {FORMULA} is.", [f"Take {FORMULA}.", f"Then {FORMULA} is."]),
        (f"Ends here. {FORMULA} begins.", ["Ends here.", f"{FORMULA} begins."]),
        ("R. A. Fisher, i.e. he.", ["R. A. Fisher, i.e. he."]),
        ("It is 0.5 of fig. 4.", ["It is 0.5 of fig. 4."]),
        ("<strong>Title.</strong> Text. More.", ["<strong>Title.</strong> Text.", "More."]),
        ("a &lt; b. Then\n  c.", ["a &lt; b.", "Then c."]),
    ],
)
def test_sentences_end_where_they_end(paragraph, found):
    assert sentences(html(f"<p>{paragraph}</p>").p) == found


def test_a_section_opens_with_its_question_if_it_soon_asks_one():
    assert opening(html("<p>There is one. Which? No one knows.</p>").p) == "There is one. Which?"
    assert opening(html("<p>There is one. Here.</p>").p) == "There is one."
    assert opening(html("<p>It is given by:</p>").p) == ""
    assert opening(html(f"<p>{'very ' * 50} long. Which?</p>").p) == "Which?"
    assert opening(html(f"<p>{'very ' * 50} long.</p>").p) == ""


def test_a_caption_says_what_was_seen_and_asks_nothing():
    assert caption(html("<p>Two hills. Why?</p>").p, "A & b. C.") == "Two hills."
    assert caption(html("<p>Why two hills?</p>").p, "A & b. C.") == "A &amp; b."
    assert caption(html("<p><em>Another matter.</em> Yes.</p>").p, "Two hills") == "Two hills."
    assert caption(None, "") == ""


# --- What stands on a slide --------------------------------------------------------------------


def test_the_prose_around_a_thing_is_said_and_not_shown():
    stack = made("<p>Before it.</p>", "<blockquote>Thing</blockquote>", "<p>After. It goes on.</p>")
    assert kinds(stack) == ["section", "text"]
    assert shown(stack[1]) == "Before it. Thing"
    assert stack[1].notes == ["<p>Before it.</p>", "<p>After. It goes on.</p>"]


def test_a_sentence_with_a_term_is_shown_with_what_follows_or_alone():
    term = "<p>Long ago. A <strong>law</strong> is a law.</p>"
    with_claim, alone = made("<p>Hello there.</p>", term, CLAIM), made("<p>Hello.</p>", term)
    assert kinds(with_claim) == ["section", "claim"]
    assert shown(with_claim[1]).startswith("A law is a law.")
    assert with_claim[1].notes[0] == term
    assert kinds(alone) == ["section", "text"]
    assert shown(alone[1]) == "A law is a law."
    assert alone[1].notes == [term]


def test_a_statement_is_whole_and_its_tests_are_in_the_notes():
    stack = made(CLAIM)
    assert shown(stack[1]) == "Theorem 1 (One) One is one."
    assert "Checked by" in stack[1].notes[0]
    assert "<section" not in "".join(stack[1].shown), "to reveal.js that is a slide"


def test_a_proof_comes_step_by_step_below_after_or_in_the_notes():
    short, own, long = (made(CLAIM, proof(words)) for words in (12, 96, 150))
    assert kinds(short) == ["section", "claim"]
    assert "".join(short[1].shown).count('<div class="step fragment"><p>So it is.') == 4
    assert kinds(own) == ["section", "claim", "steps"]
    assert shown(own[2]).startswith("Proof of Theorem 1 (One) So it is.")
    assert kinds(long) == ["section", "claim"]
    assert shown(long[1]).endswith("The proof is in the notes.")
    assert plain(long[1].notes[-1]).startswith("Proof. So it is.")


def test_formulas_stand_with_their_sentence():
    def formula(x):
        return f'<div class="math" id="eq-{x}">\\[{x}\\]</div>'

    (head, slide) = made(
        "<p>Then. Take</p>", formula("a"), "<p>where b. And so</p>", formula("c"), "<p>Now.</p>"
    )
    assert shown(head) == "Part Then."
    assert shown(slide) == "Take \\[a\\] where b. And so \\[c\\]"
    assert [plain(note) for note in slide.notes] == ["Then. Take", "where b. And so", "Now."]


def test_code_is_shown_up_to_a_length_and_what_it_prints_comes_after():
    (_, slide) = made("<p>Try it.</p>", code(18, 2))
    assert shown(slide).startswith("Try it. line_0 = 0")
    assert slide.shown[-1].startswith('<div class="fragment">')
    assert kinds(made(code(18, 3))) == ["section", "code", "code"]
    (head, printed) = made(code(19, 3))
    assert "line_18" in head.notes[0]
    assert shown(printed) == "told 0 told 1 told 2"
    (head, printed) = made(code(5, 3, hidden=True))
    assert "line_0" not in shown(printed) + "".join(head.notes + printed.notes)


def test_a_figure_is_large_with_a_line_above_and_below():
    images = (
        '<img class="only-light" width="9" src="../_images/a.png" alt="A hill. It is steep.">'
        '<img class="only-dark" src="../_images/b.png" alt="A hill. It is steep.">'
    )
    cell = f'<div class="cell"><div class="cell_output">{images}</div></div>'
    (_, slide) = made("<p>Look at it.</p>", cell, "<p>It is a hill. Now go.</p>")
    assert slide.kind == "figure"
    assert slide.shown == [
        "<p>Look at it.</p>",
        '<img alt="A hill. It is steep." src="../_images/a.png"/>',
        '<p class="caption">It is a hill.</p>',
    ]


def test_long_tables_and_lists_are_dealt_out():
    rows = "".join(f"<tr><td>{i}</td></tr>" for i in range(20))
    tables = made(
        f"<table id='id9'><caption>C</caption><thead></thead><tbody>{rows}</tbody></table>"
    )
    assert kinds(tables) == ["section", "table", "table", "table"]
    assert re.findall(r"\d+", "".join(map(shown, tables))) == [str(i) for i in range(20)]
    assert sum("id9" in "".join(slide.shown) for slide in tables) == 1
    points = "".join(f"<li><p>Point {i}.</p></li>" for i in range(1, 8))
    (_, first, second) = made("<p>Listen.</p>", "<hr/>", f"<ol>{points}</ol>")[-3:]
    assert first.shown[-1].count("<li>") == 4
    assert second.shown[-1].startswith('<ol start="5">')


def test_a_long_item_of_a_list_is_shortened_and_said_in_full():
    long = "<li><p><strong>Title.</strong> First. " + "More and more. " * 12 + "Last.</p></li>"
    (slide,) = made(f"<ul>{long}<li><p>Short.</p></li></ul>")
    assert shown(slide).startswith("Part Title. First. More")
    assert "Last." not in shown(slide)
    assert "Last." in slide.notes[0]


def test_what_the_speaker_reads_cannot_be_clicked_and_is_no_business_of_mathjax():
    (slide,) = made(
        f'<p id="here"><a href="x.html">A</a> <button data-try="b">go</button> {FORMULA}.</p>'
    )
    assert slide.notes == ['<p>A go <span class="tex">\\(x\\)</span>.</p>']


def test_a_figure_that_computes_keeps_its_script_and_leaves_the_address_alone():
    figure = (
        "<p>Talk. <strong>Which one?</strong> Move it.</p><style>i{}</style>"
        '<gen-one id="one" class="explorable" linked="">static</gen-one><script>run()</script>'
    )
    (_, slide) = made(figure)
    assert slide.kind == "live"
    assert shown(slide).startswith("Which one? Move it.")
    live = html(slide.shown[-1]).div
    assert [part.name for part in live.find_all(True)] == ["style", "gen-one", "script"]
    assert not live.find("gen-one").has_attr("linked")
    assert len(slide.notes) == 1


def folded(kind: str, summary: str, reason: str) -> str:
    letter = '<span class="letter">a</span>'
    return (
        f'<details class="{kind}"><summary>{letter} {summary}</summary>'
        f"<div><p>{reason}</p></div></details>"
    )


def question(*answers: str) -> str:
    return f'<div class="question"><p class="question-text">Which?</p>{"".join(answers)}</div>'


def test_choices_say_what_they_are_worth_one_after_the_other():
    choices = (folded("choice wrong", "A", "Not yet."), folded("choice right", "B", "Right."))
    (_, slide) = made(question(*choices))
    assert slide.shown == [
        '<p class="asked">Which?</p>',
        '<ol type="a"><li> A<div class="fragment wrong"><p>Not yet.</p></div></li>'
        '<li> B<div class="fragment right"><p>Right.</p></div></li></ol>',
    ]


def test_the_answer_to_an_open_question_comes_after_it():
    (_, slide) = made(question(folded("answer", "Show the answer", "4.")))
    assert slide.shown[1:] == ['<div class="fragment answer"><p>4.</p></div>']


def test_what_is_not_known_is_shown_whole():
    (_, slide) = made("<p>Talk.</p>", '<div class="admonition"><p>Beware.</p></div>')
    assert shown(slide) == "Talk. Beware."


# --- The decks of a course ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def course(tmp_path_factory) -> Path:
    if shutil.which("npm") is None:
        pytest.skip("npm is needed to fetch reveal.js (Debian: apt install npm)")
    root = small_course(tmp_path_factory.mktemp("slides"))
    site.build(root)
    return root


@pytest.fixture(scope="module")
def decks(course) -> Path:
    slides(course, course / "_build" / "html", course / "slides")
    return course / "slides"


def page(decks: Path, name: str) -> BeautifulSoup:
    return html((decks / f"{name}.html").read_text(encoding="utf8"))


def test_each_chapter_has_a_deck_and_the_index_leads_there(decks):
    links = [(a["href"], a.string) for a in page(decks, "index")("a")]
    assert links == [
        ("01_density.html", "Density estimation"),
        ("02_divergences.html", "Divergences"),
    ]
    for address, title in links:
        slide = page(decks, address[:-5]).select_one(".slides > section > section.title")
        assert slide.h1.string == title
        assert slide.select_one(".course").string.endswith(address[:2])
        assert "You will be able to" in slide.get_text()


def test_a_deck_is_a_row_of_stacks(decks):
    stacks = page(decks, "01_density").select(".slides > section")
    assert [
        [slide["class"][0] for slide in stack.find_all("section", recursive=False)]
        for stack in stacks
    ] == [
        ["title"],
        ["section", "code"],
        ["section", "text", "claim"],
        ["section", "question"],
        ["section"],
    ]
    for slide in page(decks, "01_density").select(".slides > section > section"):
        assert slide.select("section") == []
        assert len(slide.select("aside.notes.mathjax_ignore")) == 1


def test_no_paragraph_of_the_page_is_lost(course, decks):
    built = html((course / "_build/html/book/01_density.html").read_text(encoding="utf8"))
    for link in built.select(".headerlink, summary"):
        link.decompose()
    paragraphs = [" ".join(p.get_text().split()) for p in built.select("article p")]
    assert len(paragraphs) >= 8
    told = " ".join(page(decks, "01_density").select_one(".slides").get_text().split())
    assert [text for text in paragraphs if text.removeprefix("Proof. ") not in told] == []


def test_links_lead_to_decks_or_nowhere(tmp_path):
    (tmp_path / "book" / "_static" / "vendor" / ".reveal").mkdir(parents=True)
    for part in STATIC:
        (tmp_path / "html" / "_static" / part).mkdir(parents=True)
    lead = (
        "<p>See {0}, {1}, {2}, {3}, {4} and {5}:</p><blockquote>it</blockquote>"  # on a slide
        "<p>Here are {0} and {1}.</p>"  # in the notes
    )
    to = ("#thm-one", "02_b.html#thm-one", "02_b.html#x", "#x", "notation.html", "https://x.org")
    links = [f'<a href="{address}">{i}</a>' for i, address in enumerate(to)]
    for name in ("01_a", "02_b"):
        section = f'<section id="part"><h2>Part</h2>{lead.format(*links)}{CLAIM}</section>'
        page = tmp_path / "html" / "book" / f"{name}.html"
        page.parent.mkdir(exist_ok=True)
        page.write_text(
            f"<title>{name} — Course</title><script>window.MathJax = {{}}</script>"
            f'<article><section id="all"><h1>All</h1>{section}</section></article>'
        )
    slides(tmp_path, tmp_path / "html", tmp_path / "out")
    built = html((tmp_path / "out" / "01_a.html").read_text(encoding="utf8"))
    assert [(a["href"], a.string) for a in built("a")] == [
        ("#/thm-one", "0"),
        ("02_b.html#/thm-one", "1"),
        ("02_b.html", "2"),
    ]
    assert "See 0, 1, 2, 3, 4 and 5:" in built.get_text()


def test_a_deck_has_all_that_it_needs_and_asks_nobody(course, decks):
    assert list(requests_elsewhere(decks)) == []
    for file in decks.glob("*.html"):
        text = file.read_text(encoding="utf8")
        assert str(course) not in text
        wanted = re.findall(r'\b(?:src|href)="([^"#?]+)', text)
        assert len(wanted) >= 2
        for address in wanted:
            assert not re.match(r"\w+:|/|\.\./", address), address
            assert (decks / address).is_file(), address
    for file in (decks / "_static").glob("*.css"):
        for address in re.findall(r"url\(([^)]+)\)", file.read_text(encoding="utf8")):
            assert (file.parent / address).is_file(), address
    licences = [file.parent.name for file in decks.rglob("LICENSE")]
    assert sorted(licences) == ["fonts", "mathjax", "reveal"]


def test_the_macros_are_those_of_the_site(decks):
    script = page(decks, "01_density").find("script", string=re.compile("window.MathJax"))
    assert '"pdata"' in script.string


def test_two_runs_write_the_same_bytes(course, decks, tmp_path):
    slides(course, course / "_build" / "html", tmp_path / "again")
    first, second = (
        {file.relative_to(top): file.read_bytes() for file in top.rglob("*") if file.is_file()}
        for top in (decks, tmp_path / "again")
    )
    assert first == second


def test_the_site_does_not_hold_what_only_slides_need(course):
    assert (course / "book/_static/vendor/.reveal/reveal.js").is_file()
    assert list((course / "_build/html").rglob("reveal.*")) == []


def test_without_what_npm_fetches_it_says_so_and_writes_nothing(course, tmp_path):
    built = course / "_build" / "html"
    reveal = tmp_path / "book" / "_static" / "vendor" / ".reveal"
    with pytest.raises(CourseError, match=r"need reveal, which npm .* Install Node\.js"):
        slides(tmp_path, built, tmp_path / "out")
    reveal.mkdir(parents=True)
    with pytest.raises(CourseError, match=r"need mathjax, which npm .* Install Node\.js"):
        slides(tmp_path, tmp_path, tmp_path / "out")
    assert not (tmp_path / "out").exists()
