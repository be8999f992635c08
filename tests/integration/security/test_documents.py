"""Both APIs do what their own OpenAPI documents say, whatever is asked: schemathesis tries it."""

import asyncio
import os
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis import checks
from schemathesis.specs.openapi import checks as openapi_checks

from tests.integration.api_gateway.gateways import SERVICE_TOKEN, Api, gateway
from tests.integration.backing import Log, new_up, token

EXAMPLES = int(os.environ.get("FUZZ_REQUESTS", "12"))
CHECKS = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
]
AWAY = frozenset({503})
"""No edge serves here: a location is refused, as the document says."""


def try_all(api: Api, bearer: str) -> int:
    """Ask every operation of a document many things; return how many. Raises for a wrong answer."""
    document: Any = schemathesis.openapi.from_dict(api._document)
    asked = 0

    def one(case: Any) -> None:
        nonlocal asked
        asked += 1
        answer = case.call(base_url=api.url, headers={"Authorization": f"Bearer {bearer}"})
        if answer.status_code not in AWAY:
            case.validate_response(answer, checks=CHECKS)

    for result in document.get_all_operations():
        law = given(case=result.ok().as_strategy())(one)
        settings(
            max_examples=EXAMPLES,
            deadline=None,
            derandomize=EXAMPLES < 100,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(law)()
    return asked


# The gateway runs beside, in another thread, and may use chance while a case is made.
@pytest.mark.filterwarnings("ignore:Do not use the `random` module")
@pytest.mark.timeout(3_600)
async def test_every_answer_is_one_that_the_document_allows(log: Log) -> None:
    async with gateway(wait_stored_ms=0, requests_per_s_per_user=1e6, requests_burst_per_user=10**6) as here:
        public = await asyncio.to_thread(try_all, here.public, token(new_up()))
        internal = await asyncio.to_thread(try_all, here.internal, SERVICE_TOKEN)
        print(f"{public} public and {internal} internal requests")
        assert public >= 6 * EXAMPLES
        assert internal >= 6 * EXAMPLES
