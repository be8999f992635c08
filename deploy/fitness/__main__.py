"""``python -m deploy.fitness``: fitness functions, or one load test, on a system that is started here."""

import argparse
import subprocess
import sys
from collections.abc import Sequence

from deploy.audit import PINNED, Audit, look_up
from deploy.fitness.local_target import local_target
from deploy.local.run_folder import run_folder
from deploy.local.signals import interrupt_on_signals
from loadtest.arguments import add_size, chosen_scenario
from loadtest.crew import RunFailedError
from loadtest.fitness import AUDIT, Outcome
from loadtest.fitness_run import USUAL_MINUTES, measure_fitness
from loadtest.keeping import open_folder
from loadtest.run_command import run_and_keep


def main(argv: Sequence[str] | None = None) -> int:
    """Run what was asked for. Returns the exit status."""
    arguments = _arguments(argv)
    interrupt_on_signals()
    try:
        open_folder(arguments.out)
        scenario = None if arguments.scenario is None else chosen_scenario(arguments)
        with (
            run_folder("uni4all-chat-load-") as folder,
            local_target(folder, edges=arguments.edges) as target,
        ):
            if scenario is not None:
                return run_and_keep(scenario, target, arguments.out, processes=arguments.processes)
            return measure_fitness(target, arguments.out, arguments.minutes, audit)
    except (RunFailedError, ValueError, OSError, RuntimeError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("FAILED: interrupted", file=sys.stderr)
        return 130


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m deploy.fitness", description=__doc__)
    parser.add_argument("--scenario", help="only this load test")
    parser.add_argument("--edges", type=int, default=2, help="how many edges (default: %(default)s)")
    parser.add_argument(
        "--minutes", type=float, default=USUAL_MINUTES, help="the fitness functions' length (%(default)g)"
    )
    add_size(parser)
    arguments = parser.parse_args(argv)
    if arguments.edges < 1:
        parser.error(f"--edges {arguments.edges}: students need an edge at least")
    return arguments


def audit() -> Outcome:
    """Return what is known of the pinned dependencies, as `make audit` finds it."""
    try:
        return outcome_of([look_up(file) for file in PINNED])
    except subprocess.TimeoutExpired:
        return Outcome(AUDIT, None, "the services of vulnerabilities did not answer in time")


def outcome_of(audits: Sequence[Audit]) -> Outcome:
    """Return the outcome of look-ups. Where anything was not looked up and nothing found, it is not known."""
    findings = [finding for one in audits for finding in one.findings]
    if findings:
        return Outcome(AUDIT, len(findings), "; ".join(findings))
    audited = sum(one.audited for one in audits)
    missing = next((one.reason for one in audits if one.not_audited), None)
    if missing is not None:
        return Outcome(AUDIT, None, f"{audited} packages looked up, not all: {missing}")
    return Outcome(AUDIT, 0, f"{audited} packages looked up")


if __name__ == "__main__":
    sys.exit(main())
