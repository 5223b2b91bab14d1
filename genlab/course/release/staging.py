"""A release appears all at once or not at all, and leaves no litter, however it ends.

Everything is made in a hidden folder beside the releases, and one rename puts it in place. A second
process, the sweeper, waits at the end of a pipe. The pipe closes when this process ends, be it by
``kill -9``; then the sweeper ends the children and removes the hidden folder. It is the only one
that cleans up: after a success, an error and a kill alike.
"""

import ctypes
import errno
import fcntl
import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from genlab.course.root import CourseError

HIDDEN = ".release-"

_SWEEPER = """
import os, shutil, signal, sys, time
for name in ("SIGTERM", "SIGINT", "SIGHUP"):
    signal.signal(getattr(signal, name), signal.SIG_IGN)
scratch, *made = sys.argv[1:]
sys.stdin.buffer.read()
os.killpg(0, signal.SIGTERM)
gone = 0
while gone < 3:  # a child that is ending may still write
    shutil.rmtree(scratch, ignore_errors=True)
    time.sleep(0.05)
    gone = 0 if os.path.lexists(scratch) else gone + 1
for folder in made:
    try:
        os.rmdir(folder)
    except OSError:  # it holds a release
        break
"""


@contextmanager
def scratch(out: Path) -> Iterator[tuple[Path, Callable]]:
    """A hidden folder in ``out``, and a ``subprocess.run`` whose children end with this process.

    Raises:
        CourseError: ``out`` cannot be a folder that a release is written into, or another one is
            being written into it; its disk is full.
    """
    missing = [folder for folder in (out, *out.parents) if not folder.exists()]
    folder = out / f"{HIDDEN}{os.getpid()}"
    sweeper = subprocess.Popen(
        [sys.executable, "-I", "-c", _SWEEPER, folder, *missing],
        stdin=subprocess.PIPE,
        process_group=0,
    )
    held = ExitStack()  # to the end of the sweeper, so that the next does not meet it
    try:
        try:
            out.mkdir(parents=True, exist_ok=True)
            lock = os.open(out, os.O_RDONLY)
            held.callback(os.close, lock)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            for left in out.glob(f"{HIDDEN}*"):  # by a machine that went down: nobody else is here
                shutil.rmtree(left)
            folder.mkdir()
        except BlockingIOError:
            raise CourseError(
                f"another release is being written into {out}. Wait for it, or name another --out."
            ) from None
        except OSError as error:
            raise CourseError(
                f"--out {out} cannot be a folder that a release is written into: {error}"
            ) from error
        try:
            yield folder, functools.partial(subprocess.run, process_group=sweeper.pid)
        except OSError as error:
            if f"[Errno {errno.ENOSPC}]" in str(error):  # of one file, or among those of a folder
                raise CourseError(
                    f"no space is left on the disk of {out}. Make some, or name another --out."
                ) from error
            raise
    finally:
        sweeper.stdin.close()
        sweeper.wait()
        held.close()


def publish(new: Path, place: Path) -> None:
    """Put the folder ``new`` where ``place`` is, in one step; an earlier one goes where it was.

    Raises:
        CourseError: the file system cannot exchange two folders; nothing is changed.
    """
    try:
        os.rename(new, place)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(new, place)


def _exchange(one: Path, other: Path) -> None:
    """Swap two folders: Linux and macOS can, Python has no name for it."""
    c = ctypes.CDLL(None, use_errno=True)
    names = os.fsencode(one), os.fsencode(other)
    here, swap = -100, 2  # AT_FDCWD; RENAME_EXCHANGE, which macOS calls RENAME_SWAP
    if hasattr(c, "renameat2"):
        failed = c.renameat2(here, names[0], here, names[1], swap)
    else:
        failed = c.renamex_np(*names, swap) if hasattr(c, "renamex_np") else -1
    if failed:
        raise CourseError(
            f"this file system cannot exchange two folders ({os.strerror(ctypes.get_errno())}). "
            f"Move {other} away and run the same command again."
        )
