"""A course of two small chapters in a repository of its own: what the release is tested on.

It is the real house (configuration, package, licences) with short pages under the names of real
chapters, so that it is built in seconds.
"""

import json
import shutil
import subprocess
from pathlib import Path
from textwrap import dedent

from genlab.course import notebooks
from genlab.course.assets import vendor

ROOT = Path(__file__).parents[1]
KEPT = (
    "Makefile",
    "_config.yml",
    "pyproject.toml",
    "constraints.txt",
    "README.md",
    "LICENSE",
    "LICENSE-text",
    ".gitignore",
    "book/references.bib",
    "book/package.json",
    "book/package-lock.json",
)
WHEN = {
    "GIT_AUTHOR_DATE": "2027-01-04T09:00:00+00:00",
    "GIT_COMMITTER_DATE": "2027-01-04T09:00:00+00:00",
}

PAGE = """\
---
jupytext:
  text_representation:
    extension: .md
    format_name: myst
kernelspec:
  display_name: Python 3
  language: python
  name: python3
---

# {title}

**You will be able to** say what the [exercises](../exercises/{name}.ipynb) ask.

## A question

How large is the next one? {other}

```{{code-cell}} ipython3
print("{title}:", 6 * 7)
```

## A claim

```{{math}}
:label: eq-{slug}
p(x) = \\frac{{1}}{{2}} e^{{-|x|}}
```

```{{prf:theorem}} The law of {slug}
:label: thm-{slug}

The density $p$ integrates to one.
```

```{{prf:proof}}
Both halves are one half.
```

## Check yourself

:::{{question}} What does $p$ integrate to?
:name: {slug}-integral
- [ ] A half

  That is one of two halves.
- [x] One

  Both halves are one half.
:::

## Summary

- A density integrates to one.
"""

SOLUTIONS = '''\
# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Exercises {nn}: {slug}
#
# Two exercises, 5 points, about half an hour. Replace each `raise NotImplementedError`.
#
# The chapter: [{title}](../book/{name}.md).

# %%
from genlab.course.check import check

# %% [markdown]
# ## {n}.1 Twice (2 points, 10 minutes)
#
# Write a function that doubles a number.


# %% {solution_twice}
def twice(x):
    """Two times x."""
    ### BEGIN SOLUTION
    doubled_number_of_{slug} = x + x
    return doubled_number_of_{slug}
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Squares.
def twice(x):
    return x * x


# %% {check_twice}
with check("{n}.1") as answer:
    assert twice(3) == 6, "twice 3 is 6"
### BEGIN HIDDEN TESTS
answer.require()
assert twice(1001) == 2002, "a hidden test of {slug} with a large number"
### END HIDDEN TESTS

# %% [markdown]
# ## {n}.2 Find out why (3 points, 20 minutes)
#
# Write a function that quadruples, with your answer to {n}.1.


# %% {solution_four}
def four_times(x):
    """Four times x."""
    ### BEGIN SOLUTION
    return twice(twice(x))  # the composition that {slug} asks for
    ### END SOLUTION


# %% tags=["wrong-answer"]
# Once only.
def four_times(x):
    return twice(x)


# %% {check_four}
with check("{n}.2") as answer:
    assert four_times(3) == 12, "four times 3 is 12"
### BEGIN HIDDEN TESTS
answer.require()
assert four_times(-2) == -8, "a hidden test of {slug} with a negative number"
### END HIDDEN TESTS
'''

INDEX = """\
# A small course

Two chapters and the [notation](notation.md).

## Chapters

::::{grid} 1 1 2 2

:::{grid-item-card} [01 · Density estimation](01_density.md)
From a sample to a density. *[Exercises](../exercises/01_density.ipynb).*
:::

:::{grid-item-card} [02 · Divergences](02_divergences.md)
How far is one law from another. *[Exercises](../exercises/02_divergences.ipynb).*
:::
::::
"""

NAMES = {"01_density": "Density estimation", "02_divergences": "Divergences"}


def small_course(folder: Path) -> Path:
    """Write the course into ``folder``, commit it, and return its root."""
    root = folder / "course"
    vendor(ROOT)  # fetched once, for all
    for name in KEPT:
        _copy(name, root)
    shutil.copytree(
        ROOT / "genlab",
        root / "genlab",
        ignore=shutil.ignore_patterns("__pycache__", "pictures.py"),
    )
    shutil.copytree(
        ROOT / "book" / "_static",
        root / "book" / "_static",
        ignore=shutil.ignore_patterns("pictures"),
    )
    (root / "tests").mkdir()
    proofs = "".join(
        f'@pytest.mark.proves("thm-{name[3:]}")\ndef test_{name[3:]}():\n    assert 1 / 2 > 0\n\n\n'
        for name in NAMES
    )
    (root / "tests" / "test_claims.py").write_text(f"import pytest\n\n\n{proofs}")
    (root / "CHANGELOG.md").write_text("# Changelog\n\n## 0.1.0\n\n- Two chapters.\n")
    (root / "book" / "index.md").write_text(INDEX)
    (root / "book" / "notation.md").write_text("# Notation\n\nThe truth is $\\pdata$.\n")
    for rows in ("curriculum", "errata"):
        (root / "book" / f"{rows}.toml").write_text("")
    pages = []
    for name, title in NAMES.items():
        nn, slug = name.split("_", 1)
        other = (
            "Later it is compared: see [the divergences](02_divergences.md), "
            "{prf:ref}`thm-divergences` and {eq}`eq-divergences`."
            if nn == "01"
            else "You know [density estimation](01_density.md) and {prf:ref}`thm-density`."
        )
        page = PAGE.format(name=name, title=title, slug=slug, other=other)
        (root / "book" / f"{name}.md").write_text(page)
        cells = {
            "solution_twice": _metadata(f"{slug}-twice"),
            "check_twice": _metadata(f"check-{slug}-twice", points=2),
            "solution_four": _metadata(f"{slug}-four"),
            "check_four": _metadata(f"check-{slug}-four", points=3),
        }
        source = SOLUTIONS.format(name=name, nn=nn, n=int(nn), slug=slug, title=title, **cells)
        (root / "solutions").mkdir(exist_ok=True)
        (root / "solutions" / f"{name}.py").write_text(source)
        pages.append(
            f"      - file: book/{name}\n        sections:\n          - file: exercises/{name}\n"
        )
    (root / "_toc.yml").write_text(
        "format: jb-book\nroot: book/index\nparts:\n  - caption: Chapters\n    chapters:\n"
        + "".join(pages)
        + "  - caption: At hand\n    chapters:\n      - file: book/notation\n"
    )
    notebooks.write(root)
    git(root, "init", "--quiet", "--initial-branch=main")
    commit(root, "A small course")
    return root


def _metadata(grade_id: str, **points: int) -> str:
    """What nbgrader keeps in a cell: a solution, or a check if it has points."""
    solution = not points
    about = {"grade": not solution, "grade_id": grade_id, "locked": not solution, **points}
    about |= {"schema_version": 3, "solution": solution, "task": False}
    return f"nbgrader={json.dumps(about)}"


def commit(root: Path, message: str) -> None:
    """Commit everything, at an hour that is always the same."""
    git(root, "add", "--all")
    git(root, "commit", "--quiet", "--message", message)


def git(root: Path, *arguments: str) -> str:
    """Run git in the course as somebody."""
    who = ("-c", "user.name=An instructor", "-c", "user.email=instructor@example.org")
    env = {"PATH": "/usr/bin:/bin:/usr/local/bin", "HOME": str(root), **WHEN}
    command = ["git", *who, *arguments]
    return subprocess.run(
        command, cwd=root, env=env, check=True, capture_output=True, text=True
    ).stdout


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, hidden ones too."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted(folder.rglob("*"))
        if file.is_file()
    }


def write(root: Path, name: str, text: str) -> None:
    """Write a file of the course, without the indentation of the test."""
    (root / name).write_text(dedent(text).lstrip("\n"), encoding="utf8")


def _copy(name: str, root: Path) -> None:
    target = root / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy2(ROOT / name, target)
