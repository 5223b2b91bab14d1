"""The student's side: a process that knows nothing but the course, and what the student wrote.

It confines itself first, says which of the promises hold, and then does what the grader asks: load
definitions, call them. What it prints goes nowhere; its answers go through a pipe.
"""

import contextlib
import json
import os
import sys
from pathlib import Path

import torch

from genlab.course.grade.channel import Channel, Stopped
from genlab.course.grade.confine import Limits, confine
from genlab.course.grade.link import Link


def load(link: Link, given: list[str], written: list[str], wanted: list[str]) -> list:
    """Run definitions in a namespace of their own; return the wanted things and what went wrong."""
    space = {"__name__": "student"}
    wrong = None
    for code in given:
        exec(compile(code, "<the course>", "exec"), space)
    for code in written:
        try:
            exec(compile(code, "<your notebook>", "exec"), space)
        except BaseException as error:
            first = code.partition("\n")[0]
            wrong = wrong or f"«{first[:80]}» stopped with {type(error).__name__}: {error}"[:2000]
    there = [name for name in wanted if name in space]
    link.forget(tuple(space[name] for name in there if isinstance(space[name], type)))
    return [{name: space[name] for name in there}, wrong]


def main() -> None:
    """Confine this process, then serve the grader until it hangs up."""
    source, sink = os.dup(0), os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    torch.set_num_threads(1)
    limits, about = (json.loads(text) for text in sys.argv[1:])
    about["folder"] = Path(about["folder"])
    promises = confine(Limits(**limits), **about)
    channel = Channel(source, sink, text=1 << 40, raw=1 << 40)
    link = Link(channel, "student")
    link.loader = lambda *args: load(link, *args)
    channel.send({"ready": promises})
    os.dup2(nothing, 2)
    with contextlib.suppress(Stopped):  # the grader has what it wants
        link.serve()


if __name__ == "__main__":
    main()
