"""What git knows of the course."""

import subprocess
from pathlib import Path

from genlab.course.root import CourseError


def git(root: Path, *arguments: str | Path, otherwise: str | None = None) -> str:
    """What git says in ``root``, without the space at its end; ``otherwise`` where it fails.

    Raises:
        CourseError: it fails, and nothing is given for that.
    """
    done = subprocess.run(
        ["git", "-C", root, *arguments], capture_output=True, encoding="utf8", errors="replace"
    )
    if done.returncode == 0:
        return done.stdout.rstrip()
    if otherwise is None:
        raise CourseError(f"git {arguments[0]} says: {done.stderr.strip()}")
    return otherwise
