"""``python -m deploy.audit``: look the pinned packages up among known vulnerabilities.

It prints what could not be looked up: without a reachable vulnerability service nothing is proven.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

PINNED: Final = ("requirements.txt", "requirements-dev.txt")
SERVICES: Final = ("pypi", "osv")
DEADLINE_S: Final = 300
MAX_NAMES: Final = 5


class Audit(NamedTuple):
    """What one file's look-up gave: its findings, and which packages could not be looked up, and why."""

    findings: tuple[str, ...]
    audited: int
    not_audited: tuple[str, ...]
    reason: str


def read(report: str) -> Audit:
    """Return what a report of pip-audit says. Raises ValueError where it is none."""
    packages: list[dict[str, Any]] = json.loads(report)["dependencies"]
    skipped = [package for package in packages if "skip_reason" in package]
    findings = tuple(
        f"{package['name']} {package['version']}: {found['id']}, mended in {found['fix_versions']}"
        for package in packages
        for found in package.get("vulns", ())
    )
    reason = skipped[0]["skip_reason"] if skipped else ""
    names = tuple(package["name"] for package in skipped)
    return Audit(findings, len(packages) - len(skipped), names, reason)


def verdict(audits: Sequence[Audit]) -> tuple[str, int]:
    """Return the text to print, and the exit code: 1 only if a vulnerability was found."""
    lines = [finding for audit in audits for finding in audit.findings]
    audited = sum(audit.audited for audit in audits)
    if audited:
        lines.append(f"{audited} packages looked up, {len(lines)} known vulnerabilities")
    else:
        lines.append("NOTHING is known: no package could be looked up")
    for audit in audits:
        if audit.not_audited:
            names = ", ".join(audit.not_audited[:MAX_NAMES])
            if (more := len(audit.not_audited) - MAX_NAMES) > 0:
                names += f" and {more} more"
            lines.append(f"NOT looked up: {names}: {audit.reason}")
    return "\n".join(lines), 1 if any(audit.findings for audit in audits) else 0


def look_up(file: str) -> Audit:
    """Query the services in turn, until one knows any of a file's packages."""
    audit = Audit((), 0, (file,), "nothing was asked")
    for service in SERVICES:
        command = ["-m", "pip_audit", "--requirement", file, "--disable-pip", "--no-deps", "--format", "json"]
        done = subprocess.run(
            [sys.executable, *command, "--progress-spinner", "off", "--vulnerability-service", service],
            capture_output=True,
            text=True,
            timeout=DEADLINE_S,
            check=False,
        )
        try:
            audit = read(done.stdout)
        except ValueError:
            failure = done.stderr.strip().rpartition("\n")[2].partition(":")[0]
            audit = Audit((), 0, (file,), f"no service of vulnerabilities is in reach ({failure})")
        if audit.audited:
            return audit
    return audit


if __name__ == "__main__":
    ArgumentParser(prog="python -m deploy.audit", description=__doc__).parse_args()
    text, code = verdict([look_up(file) for file in PINNED])
    print(text)
    sys.exit(code)
