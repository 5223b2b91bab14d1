"""Where student code runs: a process that is started apart from everything.

With bubblewrap it has a network, processes and files of its own; with ``unshare`` a network and
processes; else it is a plain process. In each case it confines itself (see ``confine``) before it
reads a line of a student.
"""

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

from genlab.course.grade.confine import COURSE, LIBRARIES, PACKAGE, SYSTEM, Limits, namespaces

_FOLDER = 16 << 20  # bytes, where the folder is a file system of its own
_OWN_FOLDER = f'mount -t tmpfs -o size={_FOLDER},mode=777 tmpfs "$0"; cd "$0"'
_NO_RIGHTS = "--inh-caps=-all --ambient-caps=-all --bounding-set=-all"


def launchers() -> list[str]:
    """The ways of starting that work on this machine, the strictest first."""
    return [name for name in ("bubblewrap", "unshare") if _works(name)] + ["plain"]


def start(limits: Limits, folder: Path, launcher: str) -> subprocess.Popen:
    """A worker in the empty ``folder``; it sends ``{"ready": promises}`` when it is confined."""
    about = {"folder": str(folder), "user": 200_000 + os.getpid(), "outside": namespaces()}
    python = [sys.executable, "-sP", "-m", "genlab.course.grade.worker"]
    return subprocess.Popen(
        [*_prefix(launcher, folder), *python, json.dumps(vars(limits)), json.dumps(about)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=folder,
        env={
            "PATH": "/usr/bin:/bin",
            "HOME": str(folder),
            "TMPDIR": str(folder),
            "MPLCONFIGDIR": str(folder),
            "MPLBACKEND": "Agg",
            "OMP_NUM_THREADS": "1",
            "GENLAB_QUIET": "1",
            "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), *LIBRARIES]),
            "PYTHONDONTWRITEBYTECODE": "1",
        },
        start_new_session=True,
        preexec_fn=_all_memory,
    )


def stop(worker: subprocess.Popen) -> None:
    """End a worker and all that it started."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(worker.pid, signal.SIGKILL)
    worker.wait()
    for pipe in (worker.stdin, worker.stdout, worker.stderr):
        with contextlib.suppress(BrokenPipeError):
            pipe.close()


def _all_memory() -> None:
    """The worker has a limit of its own, instead of the one that holds for the grader."""
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def _works(launcher: str) -> bool:
    programs = {"bubblewrap": ["bwrap"], "unshare": ["unshare", "setpriv"]}[launcher]
    if sys.platform != "linux" or None in map(shutil.which, programs):
        return False
    command = [*_prefix(launcher, Path("/tmp")), "/bin/true"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _prefix(launcher: str, folder: Path) -> list[str]:
    """The command in front of the worker's."""
    root = os.geteuid() == 0
    match launcher:
        case "unshare":
            mine = "" if root else "--user --map-current-user --keep-caps"
            own = f"{mine} --net --pid --ipc --fork --kill-child --mount-proc --"
            rights = shutil.which("setpriv")
            drop = "" if root else f"{rights} {_NO_RIGHTS}"
            shell = ["sh", "-c", f'{_OWN_FOLDER}; exec {drop} "$@"', str(folder)]
            return [rights, "--pdeathsig", "KILL", shutil.which("unshare"), *own.split(), *shell]
        case "bubblewrap":
            # Root becomes another user later, which it could not in a name space of users.
            rights = ("CAP_SETUID", "CAP_SETGID", "CAP_DAC_READ_SEARCH")
            user = [f"--cap-add {right}" for right in rights] if root else ["--unshare-user"]
            own = "--unshare-net --unshare-pid --unshare-ipc --unshare-uts --new-session "
            own += f"--die-with-parent --proc /proc --dev /dev --tmpfs /tmp {' '.join(user)}"
            seen = [part for path in (*SYSTEM, *COURSE) for part in ("--ro-bind-try", path, path)]
            here = ["--perms", "0777", "--size", str(_FOLDER), "--tmpfs", str(folder)]
            at = ["--chdir", str(folder), "--"]
            return [shutil.which("bwrap"), *own.split(), *seen, *here, *at]
    return []
