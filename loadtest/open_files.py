"""How many files a process may have open: every connection of a student is one, here and at the edge."""

import resource


def allow_open_files(wanted: int) -> None:
    """Let this process and its children have so many, as far as the machine allows; never fewer than now."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
