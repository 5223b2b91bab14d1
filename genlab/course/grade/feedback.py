"""The page of one student: points, what failed in words, and the student's own answers.

Everything in it is escaped text, and its policy lets a browser run and fetch nothing. Of hidden
tests it says that they failed, and nothing else.
"""

import re
from html import escape

# The colours of the book, on a light and on a dark ground.
STYLE = """\
:root { color-scheme: light dark; --ground: #ffffff; --ink: #333d47; --faint: #5f6b76;
  --line: #d5dbe1; --code: #f4f6f8; --truth: #0a6199; --model: #b3470f; --approx: #0a7355 }
@media (prefers-color-scheme: dark) { :root { --ground: #14181e; --ink: #ced6dd;
  --faint: #a3adb8; --line: #39424d; --code: #1d232b; --truth: #6db9f2; --model: #ff9e5e;
  --approx: #5fd3ae } }
body { font: 17px/1.55 Georgia, serif; max-width: 54rem; margin: 2rem auto;
  padding: 0 1rem; background: var(--ground); color: var(--ink); overflow-wrap: break-word }
h1, h2, h3 { line-height: 1.25; margin: 2.2rem 0 .6rem } h1 { margin-top: 0 }
p, li { max-width: 44rem; margin: .6rem 0 } a { color: var(--truth) }
.faint { color: var(--faint); font-size: .9em }
.right { color: var(--approx) } .wrong { color: var(--model) } .untried { color: var(--faint) }
.wide, pre { overflow-x: auto }
table { border-collapse: collapse; min-width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; vertical-align: top; font-weight: normal }
thead th { border-bottom: 2px solid var(--faint); vertical-align: bottom; font-weight: bold }
tbody th { min-width: 8rem } tbody th, tbody td { border-bottom: 1px solid var(--line) }
.number { text-align: right; font-variant-numeric: tabular-nums }
pre { background: var(--code); padding: .7rem .9rem; font: .76em/1.5 monospace }
.said { white-space: pre-line; overflow-wrap: anywhere }
figure { margin: 1.2rem 0; max-width: 44rem } svg { width: 100%; height: auto }
@media print { pre { white-space: pre-wrap } }
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
# Control characters, those that turn the order of what follows, and halves of characters.
_UNSEEN = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_NEXT = {
    "partly right": "some of its checks passed; the sentence says what the others found.",
    "not yet": "the sentence says what the check found. Put it right in your notebook, restart the "
    "kernel, run all cells, and look at what the check says there. If it says <em>right</em>, try "
    "your function with other sizes and other values than those of the check.",
    "not attempted": "it still raises <code>NotImplementedError</code>, and your answer goes where "
    "that line stands.",
}


def document(title: str, body: str) -> str:
    """A page that stands alone; ``body`` is HTML, ``title`` text."""
    return _PAGE.format(title=_escaped(title), style=STYLE, body=body)


def state(exercise: dict) -> str:
    """What came of an exercise, in a word or two: one of right, partly right, not yet, …"""
    if exercise["reason"] in ("", "not attempted"):
        return exercise["reason"] or "right"
    return "partly right" if exercise["points"] else "not yet"


def table(about: str, head: list[str], rows: list[list[str]], numbers: int = 0) -> str:
    """A table of HTML cells, with a name for those who do not see it.

    The first cell of a row heads it, and the last ``numbers`` are figures.
    """
    words = len(head) - numbers
    classes = [""] * words + [' class="number"'] * numbers
    top = "".join(f'<th scope="col"{c}>{x}</th>' for c, x in zip(classes, head, strict=True))
    body = "".join(
        f'<tr><th scope="row">{row[0]}</th>'
        + "".join(f"<td{c}>{x}</td>" for c, x in zip(classes[1:], row[1:], strict=True))
        + "</tr>\n"
        for row in rows
    )
    return (
        f'<div class="wide" role="region" aria-label="{escape(about)}" tabindex="0">\n<table>\n'
        f"<thead><tr>{top}</tr></thead>\n"
        f"<tbody>\n{body}</tbody>\n</table></div>"
    )


def mark(exercise: dict) -> str:
    """Its state, as coloured HTML."""
    said = state(exercise)
    colour = {"right": "right", "not attempted": "untried"}.get(said, "wrong")
    return f'<span class="{colour}">{said}</span>'


def page(result: dict, counts: bool = True) -> str:
    """The feedback page of a result."""
    chapter, name = result["chapter"] or "No chapter", result["student"]
    lines = [
        f"<p>{escape(chapter)}</p>",
        f"<h1>{text(name)}</h1>",
        f"<p><strong>{result['points']:g} of {result['of']:g} points</strong></p>"
        if result["of"]
        else "",
        f'<p class="faint">Notebook: {text(result["file"])}</p>',
    ]
    if not counts and result["chapter"]:
        lines.append("<p>Another notebook of yours for this chapter counts, not this one.</p>")
    if result["reason"]:
        lines += [
            f'<p class="said wrong">Not graded, because {text(result["reason"])}.</p>',
            "<h2>What to do next</h2>\n<p>Open the notebook in Jupyter, put this right, save it, "
            "and hand it in again while you can. If you do not see what is wrong, show this page "
            "to those who teach you.</p>",
        ]
    else:
        lines += _exercises(result["exercises"])
    return document(f"{chapter}: {name}", "\n".join(lines))


def _exercises(exercises: list[dict]) -> list[str]:
    head = ["Exercise", "What came of it", "Points"]
    rows = [
        [
            f'<a href="#e{i}">{escape(e["number"])} {escape(e["title"])}</a>',
            mark(e),
            f"{e['points']:g} of {e['of']:g}",
        ]
        for i, e in enumerate(exercises)
    ]
    lines = [table("All exercises", head, rows, numbers=1)]
    for i, exercise in enumerate(exercises):
        points = f"{exercise['points']:g} of {exercise['of']:g} points"
        lines += [
            f'<section id="e{i}">',
            f"<h2>{escape(exercise['number'])} {escape(exercise['title'])}</h2>",
            f'<p class="faint">{mark(exercise)}, {points}</p>',
        ]
        if exercise["reason"] not in ("", "not attempted"):
            lines.append(f'<p class="said">{text(_sentence(exercise["reason"]))}</p>')
        if exercise["answer"]:
            about = f'role="region" aria-label="Your answer to {escape(exercise["number"])}"'
            code = text(exercise["answer"])
            lines.append(f'<pre {about} tabindex="0" dir="ltr"><code>{code}</code></pre>')
        lines.append("</section>")
    said = {state(exercise): mark(exercise) for exercise in exercises}
    steps = [f"<li>{said[s]}: {step}</li>" for s, step in _NEXT.items() if s in said]
    if steps:
        lines.append("<h2>What to do next</h2>\n<ul>\n{}\n</ul>".format("\n".join(steps)))
    return lines


def text(said: str) -> str:
    """Somebody's words as HTML, in their own direction."""
    return f"<bdi>{_escaped(said)}</bdi>"


def _escaped(said: str) -> str:
    return escape(re.sub(_UNSEEN, "�", said))


def _sentence(said: str) -> str:
    """A reason, as a sentence."""
    said = said.strip()
    return said[:1].upper() + said[1:] + ("" if said.endswith((".", "?", "!")) else ".")
