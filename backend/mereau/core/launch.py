"""Becomes another program that ends with its parent: `python -I -S launch.py PARENT SIGNAL ACCOUNT CMD...`.

PARENT is the process id that must still be the parent, SIGNAL what the kernel sends when it dies, ACCOUNT the
user and group to become as UID:GID, or `-`. PostgreSQL refuses to run as root, so root hands it to an
ordinary account and lets it keep one right, CAP_DAC_OVERRIDE, because a checkout or a data directory may lie
where only root can look.

A process of its own rather than a hook between fork and exec: such hooks are unsafe once threads run.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_PR_SET_KEEPCAPS = 8
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAP_DAC_OVERRIDE = 1
_CAPABILITY_VERSION_3 = 0x20080522


def _become(libc: ctypes.CDLL, uid: int, gid: int) -> None:
    """Give up root for this account, keeping CAP_DAC_OVERRIDE where the kernel lets us (capabilities(7))."""
    libc.prctl(_PR_SET_KEEPCAPS, 1, 0, 0, 0)
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    bits = 1 << _CAP_DAC_OVERRIDE
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    sets = (ctypes.c_uint32 * 6)(bits, bits, bits, 0, 0, 0)
    if libc.capset(header, sets) == 0:
        libc.prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, _CAP_DAC_OVERRIDE, 0, 0)


def main(arguments: list[str]) -> None:
    """Replace this process; returns only where the parent is gone already."""
    parent, signal_number, account, *command = arguments
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if account != "-":
            uid, _, gid = account.partition(":")
            _become(libc, int(uid), int(gid))
        # Last, because a change of user clears it.
        libc.prctl(_PR_SET_PDEATHSIG, int(signal_number), 0, 0, 0)
    if os.getppid() == int(parent):
        if int(signal_number) != signal.SIGKILL:
            # What runs in the background of a shell ignores interrupts, and hands that on to what it starts.
            signal.signal(int(signal_number), signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        os.execv(command[0], command)  # noqa: S606 - launching is what this file is for


if __name__ == "__main__":
    main(sys.argv[1:])
