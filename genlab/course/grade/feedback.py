"""The page of one student: points, what failed in words, and the student's own answers.

Everything in it is escaped text, and its policy lets a browser run and fetch nothing. Of hidden
tests it says that they failed, and nothing else.
"""

from html import escape

STYLE = """\
body { font: 17px/1.5 Georgia, serif; max-width: 46rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .6rem }
th { border-bottom: 2px solid } td { border-bottom: 1px solid #bbb; vertical-align: top }
pre { white-space: pre-wrap; border-left: 3px solid #bbb; padding: .4rem .8rem; font-size: .8em }
.number { text-align: right } img { max-width: 100% }
@media (prefers-color-scheme: dark) { body { background: #1b1b1b; color: #ddd } }
"""
_PAGE = """\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; style-src 'unsafe-inline'; img-src data:">
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


def document(title: str, body: str) -> str:
    """A page that stands alone; ``body`` is HTML, ``title`` text."""
    return _PAGE.format(title=escape(title), style=STYLE, body=body)


def page(result: dict, counts: bool = True) -> str:
    """The feedback page of a result."""
    title = f"{result['chapter'] or 'No chapter'}: {result['student']}"
    lines = [
        f"<h1>{escape(title)}</h1>",
        f"<p><strong>{result['points']:g} of {result['of']:g} points</strong> for "
        f"{escape(result['file'])}.</p>",
    ]
    if not counts:
        lines.append("<p>Another notebook of yours for this chapter counts, not this one.</p>")
    if result["reason"]:
        lines.append(f"<p>Not graded, because {escape(result['reason'])}.</p>")
    for exercise in result["exercises"]:
        points = f"{exercise['points']:g} of {exercise['of']:g}"
        lines.append(
            f"<h2>{escape(exercise['number'])} {escape(exercise['title'])} ({points})</h2>"
        )
        lines.append(f"<p>{escape(_sentence(exercise['reason'] or 'right'))}</p>")
        if exercise["answer"]:
            lines.append(f"<pre><code>{escape(exercise['answer'])}</code></pre>")
    return document(title, "\n".join(lines))


def _sentence(text: str) -> str:
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", "?", "!")) else ".")
