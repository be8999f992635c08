"""What the demo prints is enough to use it by."""

from types import SimpleNamespace
from typing import cast

import pytest

from deploy.demo.campus import _say_where_things_are
from deploy.demo.local_system import LocalSystem
from deploy.demo.university import small_university


def test_a_load_test_can_be_pointed_at_a_demo(capsys: pytest.CaptureFixture[str]) -> None:
    system = SimpleNamespace(
        services={"dispatcher": SimpleNamespace(ops_url="http://dispatcher")},
        public_url="http://gateway",
        internal_url="http://internal",
        mint_token=lambda up: f"{up}'s token",
        token_secret="the secret of tokens",
        dispatcher_token="",
        service_token="",
        log_dir="logs",
    )
    university = small_university()
    _say_where_things_are(cast("LocalSystem", system), university, university.students[0])
    wanted = "TOKEN_SECRET=the secret of tokens python -m loadtest run smoke --gateway http://gateway"
    assert wanted in capsys.readouterr().out
