"""The audit fails for what was found, and says what it could not find out."""

import json

import pytest

from deploy.audit import Audit, read, verdict

REPORT = {
    "dependencies": [
        {"name": "good", "version": "1", "vulns": []},
        {"name": "bad", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]},
        {"name": "unknown", "skip_reason": "not found"},
    ]
}


def test_a_known_vulnerability_fails_and_is_named_with_what_mends_it() -> None:
    text, code = verdict([read(json.dumps(REPORT))])
    assert code == 1
    assert "bad 2: CVE-1, mended in ['3']" in text
    assert "2 packages looked up, 1 known vulnerabilities" in text


def test_what_could_not_be_looked_up_is_said_and_fails_nothing() -> None:
    text, code = verdict([Audit((), 0, ("a", "b"), "no network")])
    assert code == 0
    assert text.startswith("NOTHING is known")
    assert "vulnerabilities" not in text
    assert "NOT looked up: a, b: no network" in text


def test_what_is_no_report_is_not_taken_for_a_clean_one() -> None:
    with pytest.raises(ValueError, match="Expecting value"):
        read("")
