import pytest

from mcp_gateway import errors
from mcp_gateway.errors import GatewayError
from mcp_gateway.limits.retry import FailureClass
from mcp_gateway.providers.base import Refusal, RefusalKind
from mcp_gateway.proxy.failure import judge, refused
from mcp_gateway.telemetry.definitions import OUTCOMES


@pytest.mark.parametrize(
    ("error", "failure", "elsewhere", "counts"),
    [
        (errors.ConnectFailed("x"), FailureClass.CONNECT, True, True),
        (errors.UpstreamTimeout("x", phase="connect"), FailureClass.CONNECT, True, True),
        (errors.UpstreamTimeout("x", phase="first_byte"), FailureClass.TIMEOUT, False, True),
        (errors.ConnectionLost("x", reused=True), FailureClass.STALE, False, False),
        (errors.ConnectionLost("x", reused=False), FailureClass.FATAL, False, True),
        (errors.ConnectionLost("x", reused=True, answered=True), FailureClass.FATAL, False, True),
        (errors.PoolSaturated("x"), FailureClass.FATAL, True, False),
        (errors.CircuitOpen("x"), FailureClass.FATAL, True, False),
        (errors.RemoteProtocolError("x"), FailureClass.FATAL, False, True),
    ],
)
def test_each_failure_has_its_class(
    error: GatewayError, failure: FailureClass, elsewhere: bool, counts: bool
) -> None:
    verdict = judge(error)
    assert (verdict.failure, verdict.elsewhere, verdict.counts) == (failure, elsewhere, counts)


@pytest.mark.parametrize("kind", RefusalKind)
def test_every_refusal_has_a_verdict_and_a_metric(kind: RefusalKind) -> None:
    verdict = judge(refused(Refusal(kind, 429), "kimi"))
    assert verdict.outcome in OUTCOMES


def test_only_what_speaks_against_the_provider_counts_for_the_breaker() -> None:
    counting = {kind for kind in RefusalKind if judge(refused(Refusal(kind, 429), "k")).counts}
    assert counting == {RefusalKind.OVERLOAD, RefusalKind.CREDENTIAL, RefusalKind.SERVER}


def test_the_clients_own_mistake_goes_nowhere_else() -> None:
    for kind in (RefusalKind.REQUEST, RefusalKind.MODEL):
        verdict = judge(refused(Refusal(kind, 400), "kimi"))
        assert (verdict.failure, verdict.elsewhere) == (FailureClass.FATAL, False)


def test_a_providers_401_is_not_the_clients() -> None:
    error = refused(Refusal(RefusalKind.CREDENTIAL, 401, "invalid", "bad key"), "kimi")
    assert error.http_status == 502
    assert error.data()["providerCode"] == "invalid"


def test_a_quota_refusal_tells_when_to_come_back() -> None:
    error = refused(Refusal(RefusalKind.QUOTA, 429, "1308", "used up", reset_after=60.0), "glm")
    assert error.retry_after == 60.0
    assert error.http_status == 429
