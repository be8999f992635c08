"""Stands between a runner and its child: asks the kernel to kill this process when the runner dies,
then becomes the child's program. Runs alone as a script; it must import nothing of this project.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def main() -> None:
    """Take the runner's pid and the program's argv from the command line; never returns."""
    runner_pid, argv = int(sys.argv[1]), sys.argv[2:]
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), "prctl(PR_SET_PDEATHSIG)")
    # The runner may have died before the kernel was asked; then nobody would tell this process.
    if os.getppid() != runner_pid:
        sys.exit("the process that started this one is gone")
    # The thread that has started this process lets signals wait, and so would the child: none could stop it.
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    os.execvp(argv[0], argv)  # noqa: S606 - there is no shell on purpose


if __name__ == "__main__":
    main()
