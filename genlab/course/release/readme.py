"""The README of the student archive: how to start, what to do, when it is due."""

from pathlib import Path

from genlab.course.layout import chapter_title
from genlab.course.release.plan import Plan, in_words

_TEXT = """\
# {title}: exercises

{about}

## Start

You need Python 3.11 or newer; on a Mac, Apple silicon. Open a terminal in this folder and give \
two commands. The first makes an environment in `.venv` and installs what the exercises need, a \
few gigabytes on Linux, most of it PyTorch. The second opens the first notebook in your browser.

Linux and macOS:

```sh
python3 -m venv .venv && .venv/bin/python -m pip install -r requirements.txt
.venv/bin/jupyter lab exercises/{first}.ipynb
```

Windows, in PowerShell:

```powershell
py -m venv .venv; .venv\\Scripts\\python -m pip install -r requirements.txt
.venv\\Scripts\\jupyter lab exercises\\{first}.ipynb
```

The next day the second command is enough.{elsewhere}

## Work

Run the cells from the top (Shift + Enter). Write your answer in place of each \
`raise NotImplementedError`, run it, and run the check below it. Under the check \
appears one of three answers:

```text
{number} right
{number} not yet, because 7 came out where 8 was expected
{number} not attempted
```

Run a check as often as you like. Save the notebook: the file in `exercises/` holds your work and \
is what you hand in. Keep its name, and do not delete its cells.

## Points and dates

| notebook | chapter | points |{dated}
|---|---|---|{rule}
{rows}

## A new release during the term

A new release unpacks into a folder of its own, beside this one, `{folder}`. Nothing here is \
overwritten. Give the two commands there too: each release has an environment of its own. A \
notebook that you have begun you can finish here. To go on in the new one, copy your answers into \
it cell by cell.

## With uv, and with a smaller PyTorch

pip comes with Python. [uv](https://docs.astral.sh/uv/) installs the same in less time, brings a \
Python of its own if yours is too old, and finds the PyTorch without CUDA, which is much smaller \
and enough on a machine without a GPU. In place of the first command, on every system:

```text
uv venv --python 3.12
uv pip install --torch-backend cpu -r requirements.txt
```

## What is in this folder

{files}
"""

_ELSEWHERE = """

You can also work without installing anything: links at the head of each notebook open it in the \
cloud."""

_FILES = {
    "README.md": "this page",
    "exercises/": "the notebooks",
    "requirements.txt": "what the first command installs",
    "constraints.txt": "the exact versions",
    "runtime.txt": "the version of Python on Binder",
    "LICENSE": "the licence of the code",
    "LICENSE-text": "the licence of the text and the figures",
    "CITATION.cff": "how to cite the course",
}


def readme(root: Path, plan: Plan, version: str, folder: Path) -> str:
    """The text for the archive whose other files lie in ``folder``."""
    chapters = [plan.chapters[file.stem] for file in sorted(folder.glob("exercises/*.ipynb"))]
    points = [sum(chapter.points.values()) for chapter in chapters]
    dated = any(chapter.due for chapter in chapters)
    rows = [
        f"| `exercises/{chapter.name}.ipynb` | {chapter_title(root, chapter.name[3:])} | {sum_} |"
        + (f" {in_words(chapter.due) if chapter.due else 'no date'} |" if dated else "")
        for chapter, sum_ in zip(chapters, points, strict=True)
    ]
    there = ["README.md", *(f"{p.name}/" if p.is_dir() else p.name for p in folder.iterdir())]
    return _TEXT.format(
        title=plan.title,
        about=f"Release {version}{f', {plan.term}' if plan.term else ''}. {sum(points)} points.",
        first=chapters[0].name,
        elsewhere=_ELSEWHERE if plan.repository else "",
        number=next(iter(chapters[0].points)),
        dated=" due |" if dated else "",
        rule="---|" if dated else "",
        rows="\n".join(rows),
        folder=f"genlab-{version}",
        files="\n".join(
            f"- `{name}`: {_FILES.get(name, 'the package genlab')}"
            for name in sorted(there, key=str.lower)
        ),
    )
