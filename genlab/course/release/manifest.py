"""The manifest: what a release holds, and from what it was made."""

import json
import platform
import re
import shutil
import subprocess
from datetime import datetime
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path

from packaging.requirements import Requirement

import genlab
from genlab.course.release.archive import sha256
from genlab.course.release.plan import Plan
from genlab.course.release.printed import chromium


def manifest(result: Path, plan: Plan, name: str, commit: str, when: datetime) -> str:
    """The manifest of the files in ``result``, as JSON."""
    about = {
        "title": plan.title,
        "term": plan.term,
        "version": name,
        "commit": commit,
        "date": when.isoformat(),
        "genlab": genlab.__version__,
        "chapters": {
            chapter.name: {
                "points": chapter.points,
                "due": chapter.due.isoformat() if chapter.due else None,
            }
            for chapter in plan.chapters.values()
        },
        "files": {
            file.name: {"sha256": sha256(file), "bytes": file.stat().st_size}
            for file in sorted(result.iterdir())
        },
        "made with": {
            "python": platform.python_version(),
            "chromium": _says(chromium(), "--version"),
            "node": _says(shutil.which("node"), "--version"),
        },
        "dependencies": dependencies("genlab[book]"),
    }
    return json.dumps(about, indent=1, ensure_ascii=False) + "\n"


def dependencies(requirement: str) -> dict[str, str]:
    """Every distribution that a requirement brings, itself left aside, with its version here."""
    found: dict[str, str] = {}
    seen = set()
    todo = [Requirement(requirement)]
    while todo:
        wanted = todo.pop()
        name = re.sub(r"[-_.]+", "-", wanted.name).lower()
        if (name, *sorted(wanted.extras)) in seen:
            continue
        seen.add((name, *sorted(wanted.extras)))
        try:
            found[name] = version(name)
        except PackageNotFoundError:  # for another platform
            continue
        extras = wanted.extras or {""}
        for text in requires(name) or ():
            needed = Requirement(text)
            marker = needed.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in extras):
                todo.append(needed)
    found.pop(re.sub(r"[-_.]+", "-", Requirement(requirement).name).lower(), None)
    return dict(sorted(found.items()))


def _says(program: str, option: str) -> str:
    done = subprocess.run([program, option], capture_output=True, text=True, check=True)
    return done.stdout.strip()
