"""Whatever /openapi.json allows, and what it does not: no request makes the endpoint fail."""

from __future__ import annotations

import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.server.conftest import Running

EXAMPLES = 20


def test_no_request_is_an_internal_error(served: Running) -> None:
    schema = schemathesis.openapi.from_url(f"{served.url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert {operation.path for operation in operations} >= {"/v1/chat/completions", "/api/chat", "/v1/messages"}
    for operation in operations:
        strategies = [operation.as_strategy(generation_mode=mode) for mode in schemathesis.GenerationMode]

        @settings(
            max_examples=EXAMPLES,
            deadline=None,
            database=None,
            derandomize=True,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=st.one_of(strategies))
        def ask(case: schemathesis.Case) -> None:
            answer = case.call(timeout=30)
            assert answer.status_code < 500, (case.method, case.path, case.body, answer.text[:500])

        ask()
