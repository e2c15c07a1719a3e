"""The last steps of a new process before it becomes a program of the runner's.

Run as a script with the bare standard library: child.py PARENT SIGNAL FOLDER PROGRAM [ARGUMENT...].
SIGNAL reaches the program when PARENT, the runner, dies; with a FOLDER the program runs as an
ordinary user who owns that folder, which PostgreSQL insists on.
"""

import ctypes
import os
import pwd
import signal
import sys

PR_SET_PDEATHSIG = 1
PR_SET_KEEPCAPS = 8
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_RAISE = 2
CAP_DAC_OVERRIDE = 1
LINUX_CAPABILITY_VERSION_3 = 0x20080522
CLONE_NEWUSER = 0x10000000

libc = ctypes.CDLL(None, use_errno=True)


def call(function: str, *arguments: object) -> None:
    """A C library function that says 0 when it worked."""
    if getattr(libc, function)(*arguments) != 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{function}: {os.strerror(number)}")


def is_ordinary() -> bool:
    """Whether PostgreSQL takes us as we are: not root, and known by a name."""
    try:
        return pwd.getpwuid(os.geteuid()).pw_uid != 0
    except KeyError:
        return False


def own(folder: str, uid: int, gid: int) -> None:
    """Give the folder to the user, also after another way of leaving root was used before."""
    if os.stat(folder).st_uid == uid:
        return
    for parent, folders, files in os.walk(folder):
        for name in [*folders, *files]:
            os.chown(os.path.join(parent, name), uid, gid, follow_symlinks=False)
    os.chown(folder, uid, gid)


def enter_namespace(ordinary: pwd.struct_passwd) -> None:
    """A user namespace in which we are the ordinary user; outside we stay who we are."""
    uid, gid = os.geteuid(), os.getegid()
    call("unshare", CLONE_NEWUSER)
    for name, line in (
        ("setgroups", "deny"),
        ("uid_map", f"{ordinary.pw_uid} {uid} 1"),
        ("gid_map", f"{ordinary.pw_gid} {gid} 1"),
    ):
        with open(f"/proc/self/{name}", "w", encoding="ascii") as file:
            file.write(line)


def can_enter_namespace(ordinary: pwd.struct_passwd) -> bool:
    """Tried in a fork: who has entered half-way cannot go back and take the other way."""
    probe = os.fork()
    if probe == 0:
        try:
            enter_namespace(ordinary)
        except (OSError, AttributeError):  # AttributeError: a C library without unshare
            os._exit(1)
        os._exit(0)
    return os.waitpid(probe, 0)[1] == 0


def become(ordinary: pwd.struct_passwd) -> None:
    """Change to the ordinary user for good, for containers that refuse namespaces.

    One capability of root's is kept, as far as the container grants it: without
    it the program could not pass closed folders above its own, such as /root.
    """
    with_capability = sys.platform == "linux" and libc.prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0
    os.setgroups([])
    os.setgid(ordinary.pw_gid)
    os.setuid(ordinary.pw_uid)
    if with_capability:
        header = (ctypes.c_uint32 * 2)(LINUX_CAPABILITY_VERSION_3, 0)
        bit = 1 << CAP_DAC_OVERRIDE
        # effective, permitted, inheritable of the low 32 capabilities, then of the high ones
        if libc.capset(header, (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)) == 0:
            libc.prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_DAC_OVERRIDE, 0, 0)


def leave_root(folder: str) -> None:
    """Become somebody whom PostgreSQL accepts, and who owns the folder."""
    try:
        ordinary = pwd.getpwnam("nobody")  # its initdb wants a user with a name
    except KeyError:
        sys.exit("PostgreSQL does not run as root, and this machine has no user nobody")
    try:
        if can_enter_namespace(ordinary):
            own(folder, os.geteuid(), os.getegid())
            enter_namespace(ordinary)
        else:
            own(folder, ordinary.pw_uid, ordinary.pw_gid)
            become(ordinary)
    except OSError as error:
        sys.exit(
            "PostgreSQL needs an ordinary user with a name, and this machine allows neither a user "
            f"namespace nor a change of user ({error.strerror}): start Flexhub as such a user"
        )


def main() -> None:
    """The order matters: a change of user undoes the tie to the runner."""
    parent, dies_with, folder, *program = sys.argv[1:]
    signal.pthread_sigmask(signal.SIG_SETMASK, [])  # the runner blocks signals while it starts us
    # Python ignores the first two, a shell's background jobs the others.
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGINT, signal.SIGQUIT):
        signal.signal(number, signal.SIG_DFL)
    if folder and not is_ordinary():
        leave_root(folder)
    if sys.platform == "linux":
        call("prctl", PR_SET_PDEATHSIG, int(dies_with), 0, 0, 0)
    if os.getppid() != int(parent):
        sys.exit("the runner is gone")
    try:
        os.execvp(program[0], program)  # noqa: S606 - the runner's own commands, no shell wanted
    except OSError as error:
        sys.exit(f"{program[0]}: {error.strerror}")


if __name__ == "__main__":
    main()
