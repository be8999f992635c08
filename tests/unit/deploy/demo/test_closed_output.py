"""A demo whose output nobody reads any more (`| head`) ends, and says so in one line."""

import os
import subprocess
import sys

from deploy.repository import REPOSITORY

PROGRAM = """
import sys
from deploy.demo import __main__ as demo
demo._run = lambda system, plan: print("starting", flush=True)
sys.exit(demo.main([]))
"""


def test_an_output_that_nobody_reads_is_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM],
            cwd=REPOSITORY,
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "FAILED: nobody reads the output any more\n")
