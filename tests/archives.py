"""The archives of the real course, made as the release makes them."""

import shutil
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from genlab.course.release import launch
from genlab.course.release import plan as plans
from genlab.course.release.instructor import instructor
from genlab.course.release.select import select
from genlab.course.release.student import build_wheel, student

ROOT = Path(__file__).parents[1]
NOT_NEEDED = (".*", "_build", "_static", "node_modules", "tests", "benchmarks", "*.egg-info")


@dataclass
class Made:
    """The folders of both archives, and what they were made from."""

    root: Path
    plan: plans.Plan
    wheel: Path
    student: Path
    instructor: Path

    @property
    def notebooks(self) -> list[Path]:
        """Those of students."""
        return sorted(self.student.glob("exercises/*.ipynb"))


def course(folder: Path) -> Path:
    """A copy of the course to work on."""
    root = folder / "course"
    shutil.copytree(ROOT, root, ignore=shutil.ignore_patterns(*NOT_NEEDED, "__pycache__"))
    return root


def make(folder: Path, **given) -> Made:
    """Both archives, with ``given`` in place of what the plan says."""
    root = course(folder)
    plan = replace(plans.read(root), **given)
    select(root, plan)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SOURCE_DATE_EPOCH", "1798794000")
        wheel = build_wheel(root, folder, subprocess.run)
    launch.prepare(root, plan, wheel.name)
    made = Made(root, plan, wheel, folder / "genlab-2027.1", folder / "instructor")
    student(root, plan, "2027.1", wheel, made.student)
    instructor(root, plan, "2027.1", made.instructor)
    return made
