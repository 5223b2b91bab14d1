"""Referees at work: processes on this machine, or on those of a dask cluster."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from queue import SimpleQueue

from genlab.course.grade.confine import PACKAGE
from genlab.course.grade.referee import nothing
from genlab.course.root import CourseError


class Referee:
    """A process that grades one submission after the other. A context manager."""

    def __enter__(self) -> "Referee":
        # -P: what lies in the current folder, a student's perhaps, is no module.
        command = [sys.executable, "-P", "-m", "genlab.course.grade.referee"]
        paths = filter(None, [str(PACKAGE.parent), os.environ.get("PYTHONPATH")])
        own = {"PYTHONPATH": os.pathsep.join(paths), "MPLBACKEND": "Agg"}
        own |= {"OMP_NUM_THREADS": "1", "GENLAB_QUIET": "1"}
        pipe = subprocess.PIPE
        self._left = False
        self._process = subprocess.Popen(
            command, stdin=pipe, stdout=pipe, env=os.environ | own, start_new_session=True
        )
        return self

    def __exit__(self, *error: object) -> None:
        self._left = True
        self._process.kill()
        self._process.communicate()

    def grade(self, job: dict) -> dict:
        """Exercises, reason and sandbox of one submission."""
        try:
            self._process.stdin.write(f"{json.dumps(job)}\n".encode())
            self._process.stdin.flush()
            return json.loads(self._process.stdout.readline())
        except (ValueError, OSError):  # it is gone, which it should not be
            if not self._left:
                self.__exit__()
                self.__enter__()
            return nothing("the grader's process ended")


def here(work: dict[int, dict], jobs: int) -> Iterator[tuple[int, dict]]:
    """What comes of the work, done by so many referees."""
    # Whoever interrupts does not wait: the referees end first, and then the threads that ask them.
    with ThreadPoolExecutor(jobs) as pool, ExitStack() as stack:
        free: SimpleQueue[Referee] = SimpleQueue()
        for _ in range(min(jobs, len(work))):
            free.put(stack.enter_context(Referee()))

        def grade(job: dict) -> dict:
            referee = free.get()
            try:
                return referee.grade(job)
            finally:
                free.put(referee)

        running = {pool.submit(grade, job): i for i, job in work.items()}
        try:
            for future in as_completed(running):
                yield running[future], future.result()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)


def on_dask(work: dict[int, dict], address: str) -> Iterator[tuple[int, dict]]:
    """The same, done by the workers of a cluster.

    Raises:
        CourseError: dask is not installed, or nobody is at the address.
    """
    try:
        from distributed import Client
        from distributed import as_completed as completed
    except ImportError:
        raise CourseError(
            "--dask needs the package distributed. Install genlab[dask], here and on the cluster."
        ) from None
    try:
        client = Client(address, timeout=20)
    except (OSError, ValueError) as error:
        raise CourseError(f"there is no dask scheduler at {address}: {error}") from None
    with client:
        running = {client.submit(graded, job, pure=False): i for i, job in work.items()}
        for future, outcome in completed(list(running), with_results=True):
            yield running[future], outcome


def graded(job: dict) -> dict:
    """What comes of one submission, by a referee of its own."""
    with Referee() as referee:
        return referee.grade(job)
