"""A process confines itself for good, and finds out what holds of it from now on.

Landlock leaves it the course's files to read and its own folder to write to; limits stand for
memory, processes, time and files; and if it is root's, it becomes a user of its own.
"""

import contextlib
import ctypes
import errno
import os
import resource
import signal
import struct
import sys
from dataclasses import dataclass
from pathlib import Path

import genlab

PACKAGE = Path(genlab.__file__).parent
LIBRARIES = [p for p in sys.path if p.endswith(("site-packages", "dist-packages"))]
COURSE = list(dict.fromkeys([sys.base_prefix, sys.prefix, *LIBRARIES, str(PACKAGE)]))
SYSTEM = ("/usr", "/lib", "/lib64", "/bin", "/etc/ld.so.cache", "/etc/alternatives")
_DEVICES = ("/dev/null", "/dev/zero", "/dev/urandom", "/dev/random")
_OWN = ("/proc/self/maps",)  # where its libraries are: scikit-learn wants to know
_NAMESPACES = {"net": "no network", "pid": "no other process is seen, none survives"}
_NO_PROCESS = "no further process or thread"
_LINUX = sys.platform == "linux"
# From Linux's headers. Landlock (since 5.13) has no other interface than three system calls, which
# have the same numbers everywhere.
_END_WITH_PARENT, _KEEP_CAPABILITIES, _NO_NEW_PRIVILEGES = 1, 8, 38
_CAPABILITIES, _MAY_READ_ANY = 0x20080522, 1 << 2
_CREATE, _ADD, _RESTRICT = 444, 445, 446
_SECCOMP, _BY_FILTER = 22, 2
# Numbers of: socket, memfd_create, shmget, msgget, semget, kill, tkill, tgkill, rt_sigqueueinfo,
# rt_tgsigqueueinfo, ptrace, process_vm_readv, process_vm_writev, pidfd_send_signal, io_uring_setup.
_CALLS = {
    "x86_64": (41, 319, 29, 68, 64, 62, 200, 234, 129, 297, 101, 310, 311, 424, 425),
    "aarch64": (198, 279, 194, 186, 190, 129, 130, 131, 138, 240, 117, 270, 271, 424, 425),
}
_MACHINES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_WRITE_FILE, _READ_FILE, _READ_FOLDER, _TRUNCATE = 1 << 1, 1 << 2, 1 << 3, 1 << 14
_CHANGE_FOLDER = 0x1FF0  # to make and to remove what may be in one


@dataclass(frozen=True)
class Limits:
    """What one student may use.

    Attributes:
        seconds: for the check of an exercise, all calls of the student's functions included.
        megabytes: of memory, beyond what Python and torch take.
    """

    seconds: float = 120
    megabytes: int = 2048


def namespaces() -> dict[str, str]:
    """Those that this process is in."""
    return {name: os.readlink(f"/proc/self/ns/{name}") for name in _NAMESPACES if _LINUX}


def confine(limits: Limits, folder: Path, user: int, outside: dict[str, str]) -> list[str]:
    """Confine this process, and return the promises that hold.

    Args:
        limits: what it may use.
        folder: where it may write.
        user: who it becomes if it is root's.
        outside: the namespaces of the grader.
    """
    promises = {_NAMESPACES[name] for name, at in namespaces().items() if at != outside[name]}
    memory, landlock = _taken() + (limits.megabytes << 20), 0
    if _LINUX:
        _prctl(_NO_NEW_PRIVILEGES, 1)
        landlock = _landlock(folder)
    if landlock:
        promises.add("of all files the course can be read, and none changed")
    if landlock > 3:
        promises.add("no connection by TCP")
    for what, most, promise in (
        (resource.RLIMIT_AS, memory, f"at most {limits.megabytes} MB of memory"),
        (resource.RLIMIT_FSIZE, 1 << 20, "no file above 1 MB"),
        (resource.RLIMIT_NPROC, 0, _NO_PROCESS),
        (resource.RLIMIT_NOFILE, 64, "at most 64 open files"),
        (resource.RLIMIT_CPU, int(100 * limits.seconds), ""),  # if the grader is not there to look
        (resource.RLIMIT_CORE, 0, ""),
    ):
        with contextlib.suppress(ValueError, OSError):
            resource.setrlimit(what, (most, most))
            promises.add(promise)
    if os.geteuid() == 0:
        _become(user, reads=landlock > 0)
    if os.geteuid() == 0:
        promises.discard(_NO_PROCESS)  # Linux does not hold root to it
    if _LINUX and _refuse_calls():
        promises.add("no socket, no signal, no memory shared with others")
    disk = os.statvfs(folder)
    if disk.f_blocks * disk.f_frsize <= 1 << 25:
        promises.add(f"at most {disk.f_blocks * disk.f_frsize >> 20} MB of files")
    die_with_parent()
    return sorted(promises - {""})


def die_with_parent() -> None:
    """This process ends when its parent does (Linux only)."""
    if _LINUX:
        _prctl(_END_WITH_PARENT, signal.SIGKILL)


def hold_memory(megabytes: int) -> None:
    """This process takes so much more memory at most."""
    with contextlib.suppress(ValueError, OSError):
        hard = resource.getrlimit(resource.RLIMIT_AS)[1]
        resource.setrlimit(resource.RLIMIT_AS, (_taken() + (megabytes << 20), hard))


def _taken() -> int:
    """Bytes of memory that this process has asked for."""
    if not _LINUX:
        return 0
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def _become(user: int, reads: bool) -> None:
    """Another user than root; if it ``reads``, wherever the files lie that Landlock leaves it."""
    with contextlib.suppress(OSError):
        if reads:
            _prctl(_KEEP_CAPABILITIES, 1)
        os.setgroups([])
        os.setresgid(user, user, user)
        os.setresuid(user, user, user)
        if reads:
            rights = struct.pack("6I", _MAY_READ_ANY, _MAY_READ_ANY, 0, 0, 0, 0)
            ctypes.CDLL(None).capset(struct.pack("Ii", _CAPABILITIES, 0), rights)


def _landlock(folder: Path) -> int:
    """The course can be read, the folder written to: the version that holds it, 0 if none does."""
    call = ctypes.CDLL(None).syscall
    version = call(_CREATE, None, 0, 1)
    if version < 1:
        return 0
    files = 0x1FFF | (1 << 13 if version > 1 else 0) | (_TRUNCATE if version > 2 else 0)
    tcp, others = 3 if version > 3 else 0, 3 if version > 5 else 0  # others: to signal them
    size = 24 if version > 5 else 16 if version > 3 else 8
    ruleset = call(_CREATE, struct.pack("QQQ", files, tcp, others), size, 0)
    rules = [(path, _READ_FILE | _READ_FOLDER) for path in (*SYSTEM, *_DEVICES, *_OWN, *COURSE)]
    rules += [("/dev/null", _WRITE_FILE)]
    rules += [(folder, _WRITE_FILE | _READ_FILE | _CHANGE_FOLDER | _TRUNCATE)]
    for path, rights in rules:
        with contextlib.suppress(FileNotFoundError, PermissionError):
            place = os.open(path, os.O_PATH)
            if not os.path.isdir(path):
                rights &= _WRITE_FILE | _READ_FILE
            call(_ADD, ruleset, 1, struct.pack("=Qi", rights & files, place), 0)
            os.close(place)
    return version if call(_RESTRICT, ruleset, 0) == 0 else 0


def _refuse_calls() -> bool:
    """Sockets, signals and memory that outlives a process are refused: whether Linux does so."""
    machine = os.uname().machine
    calls = _CALLS.get(machine, ())
    # Of the kernel's little language: load (0x20), compare (0x15 equal, 0x35 at least), end (6).
    lines = [(0x20, 0, 0, 4), (0x15, 0, len(calls) + 3, _MACHINES.get(machine, 0)), (0x20, 0, 0, 0)]
    lines += [(0x35, len(calls) + 1, 0, 0x40000000)]  # the same calls by other numbers
    lines += [(0x15, len(calls) - i, 0, call) for i, call in enumerate(calls)]
    lines += [(6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x50000 | errno.EPERM)]
    code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *line) for line in lines))
    program = struct.pack("HP", len(lines), ctypes.addressof(code))
    prctl = ctypes.CDLL(None).prctl
    return bool(calls) and prctl(_SECCOMP, _BY_FILTER, ctypes.c_char_p(program), 0, 0) == 0


def _prctl(*args: int) -> None:
    ctypes.CDLL(None).prctl(*args, 0, 0, 0)
