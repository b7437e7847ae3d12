"""The accounts in force: made from documents, kept across them.

A changed document is taken in two steps. `plan` does everything that can fail (secrets, keys,
certificates, addresses) and changes nothing; `commit` cannot fail. An account whose addresses
stay keeps its connections, its breaker and what it learned; one whose addresses change is
replaced, and the old one drains. Where an operator divides the limits, its governor says what each
account may use, in the same step.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from mcp_gateway.api import AccountLimits, ModelLimits, Spec
from mcp_gateway.api import Provider as ProviderSpec
from mcp_gateway.api.pool import CircuitBreakerSettings
from mcp_gateway.config.secrets import SecretReader
from mcp_gateway.errors import ConfigError
from mcp_gateway.limits.breaker import CircuitBreaker
from mcp_gateway.providers import registry
from mcp_gateway.providers.base import Provider
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.governor import Governor
from mcp_gateway.proxy.identity import account_identity
from mcp_gateway.proxy.leaving import AtProvider
from mcp_gateway.proxy.meters import AccountMeters
from mcp_gateway.proxy.rates import Rates
from mcp_gateway.telemetry.metrics import Registry
from mcp_gateway.upstream.connect import Connector, Proxy, tls_context
from mcp_gateway.upstream.connection import Timeouts
from mcp_gateway.upstream.endpoint import Endpoint
from mcp_gateway.upstream.lane import Lanes
from mcp_gateway.upstream.pool import Pool, PoolSettings


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything about one provider that could fail, done.

    Attributes:
        way: what its connections depend on; where it differs, they cannot be kept.
    """

    spec: ProviderSpec
    provider: Provider
    endpoints: Sequence[Endpoint]
    connector: Connector
    settings: PoolSettings
    identity: str
    limits: AccountLimits
    way: tuple[object, ...]


class Accounts:
    """Owns the accounts.

    Args:
        secrets: reads keys and certificates.
        metrics: where everything is counted.
        in_fleet: an operator may divide the limits among this process and others.
        process: what tells this process from others; drawn by chance where nobody says.

    Attributes:
        live: by provider name, and always the same mapping; `aclose` ends them all.
        retired: those that are no longer wanted and may have requests in flight.
        governor: says what may be used of the limits that an operator divides.
    """

    def __init__(
        self, secrets: SecretReader, metrics: Registry, *, in_fleet: bool = False, process: str = ""
    ) -> None:
        self.live: dict[str, Account] = {}
        self.governor = Governor(self.live, in_fleet=in_fleet)
        self.retired: list[Account] = []
        self._process = process or uuid.uuid4().hex
        self._secrets = secrets
        self._metrics = metrics
        self._keys: dict[str, tuple[object, ...]] = {}
        self._loop = asyncio.get_running_loop()

    def plan(self, spec: Spec) -> list[Plan]:
        """Read and build what `spec` needs.

        Raises:
            ConfigError: a secret is missing, a key or a certificate is not usable.
        """
        return [self._plan(spec, provider) for provider in spec.providers]

    def commit(self, spec: Spec, plans: Iterable[Plan]) -> list[Account]:
        """Bring a document's plans into force; the accounts it no longer wants, to be drained."""
        self.governor.follow(spec)
        retired: list[Account] = []
        live: dict[str, Account] = {}
        for plan in plans:
            name = plan.spec.name
            current = self.live.get(name)
            if current is not None and self._keys[name] == plan.way:
                _reconfigure(current, plan, governed=self.governor.governs)
            else:
                if current is not None:
                    retired.append(current)
                current = self._replace(current, plan)
            self.governor.settle(current)
            live[name] = current
            self._keys[name] = plan.way
        retired.extend(account for name, account in self.live.items() if name not in live)
        # The same mapping for good: an exchange of an older document that is tried again, after a
        # pause in which its account was replaced, finds the one that took its place.
        self.retired = [each for each in self.retired if each.pool.in_flight]
        self.retired += [each for each in retired if not self._succeeded(each, live)]
        self.live.clear()
        self.live.update(live)
        return retired

    async def aclose(self) -> None:
        """Close every connection."""
        for account in list(self.live.values()):
            await account.pool.aclose()

    def _plan(self, spec: Spec, provider: ProviderSpec) -> Plan:
        where = f"provider {provider.name!r}"
        try:
            key = self._secrets.read(provider.api_key) if provider.api_key else None
            bundle = self._secrets.read(provider.ca_bundle) if provider.ca_bundle else None
            credentials = (
                self._secrets.read(provider.proxy.credentials)
                if provider.proxy and provider.proxy.credentials
                else None
            )
            proxy = Proxy.parse(provider.proxy.url, credentials) if provider.proxy else None
            connector = Connector(
                timeout=provider.timeouts.connect,
                tls=tls_context(bundle) if bundle else None,
                proxy=proxy,
            )
            built = registry.build(provider, key, time.time)
            urls = tuple((each.url, each.weight) for each in provider.effective_endpoints())
            endpoints = [Endpoint.parse(url, weight) for url, weight in urls]
        except ConfigError as exc:
            raise ConfigError(f"{where}: {exc}") from exc
        limits = provider.effective_limits()
        return Plan(
            spec=provider,
            provider=built,
            endpoints=endpoints,
            connector=connector,
            settings=_pool_settings(provider, spec),
            identity=account_identity(provider, key, self._process),
            limits=limits,
            way=(provider.wire, urls, bundle, proxy, provider.timeouts.connect),
        )

    @staticmethod
    def _succeeded(account: Account, live: Mapping[str, Account]) -> bool:
        """What it has in flight counts under the limits of the one that took its place."""
        successor = live.get(account.name)
        return successor is not None and successor.pool.lanes is account.pool.lanes

    def _replace(self, current: Account | None, plan: Plan) -> Account:
        """An account for a plan whose connections cannot be those of `current`."""
        by_lane = plan.spec.wire == "glm"
        if (
            current is None
            or current.identity != plan.identity
            or current.pool.lanes.by_lane != by_lane
        ):
            return self._make(plan)
        # The same account by another way: what drains and what begins are one to the provider.
        account = self._make(plan, current.pool.lanes)
        account.rates, account.model_rates = current.rates, current.model_rates
        account.spec, account.governed = current.spec, current.governed
        account.at_provider, account.fleet = current.at_provider, current.fleet
        _reconfigure(account, plan, governed=self.governor.governs)
        return account

    def _make(self, plan: Plan, lanes: Lanes | None = None) -> Account:
        name = plan.spec.name
        pool = Pool(
            name,
            plan.endpoints,
            plan.connector,
            plan.settings,
            share=plan.limits.concurrency,
            by_lane=plan.spec.wire == "glm",  # GLM limits each model by itself
            lanes=lanes,
        )
        account = Account(
            spec=plan.spec,
            provider=plan.provider,
            pool=pool,
            breaker=_breaker(plan.spec.circuit_breaker),
            rates=Rates(plan.limits, self._loop, charged_beforehand=plan.spec.wire == "kimi"),
            meters=AccountMeters(self._metrics, name),
            timeouts=_timeouts(plan.spec),
            loop=self._loop,
            at_provider=AtProvider(plan.identity),
        )
        account.rates.max_waiting = plan.settings.max_waiting
        if lanes is None:
            _limit_models(account, plan.limits)
        pool.start()
        return account


def _reconfigure(account: Account, plan: Plan, *, governed: bool) -> None:
    if plan.spec.circuit_breaker != account.spec.circuit_breaker:
        account.breaker = _breaker(plan.spec.circuit_breaker)
    # Limits that the document leaves as they were stay where refusals or `PUT /limits` moved them.
    before = account.spec.effective_limits()
    account.spec = plan.spec
    account.provider = plan.provider
    account.at_provider.rotate(plan.identity)
    account.timeouts = _timeouts(plan.spec)
    account.pool.resize(plan.settings)
    account.rates.max_waiting = plan.settings.max_waiting
    account.rates.set_daily(plan.limits.tokens_per_day)
    if governed:
        return  # the limits are the governor's
    if account.governed:
        _take_back(account, plan.limits)
    elif plan.limits != before:
        account.pool.set_share(plan.limits.concurrency)
        account.rates.configure(plan.limits)
        for model, of_model in before.by_model.items():
            if of_model.concurrency is not None:
                account.pool.set_share(None, lane=model)  # unless it is stated again
        _limit_models(account, plan.limits)


def _take_back(account: Account, limits: AccountLimits) -> None:
    """The operator's word no longer counts: use the document's numbers, whole and at once."""
    account.governed = False
    account.fleet = {}
    pool, lanes = account.pool, account.pool.lanes
    pool.keep_warm(0)
    lanes.set_unlisted(None, governed=False)
    pool.set_share(limits.concurrency, start=lanes.capacity)
    for lane in list(lanes):
        pool.set_share(None, lane=lane.name, start=lanes.capacity)
        if lane.name not in limits.by_model:
            lanes.unpin(lane.name)
    for rates in (account.rates, *account.model_rates.values()):
        rates.may_rise = False
    account.rates.configure(limits)
    _limit_models(account, limits)


def _limit_models(account: Account, limits: AccountLimits) -> None:
    """State what the document knows of single models' limits."""
    for model, of_model in limits.by_model.items():
        if of_model.concurrency is not None:
            account.pool.set_share(of_model.concurrency, lane=model)
    account.model_rates = {
        model: _model_rates(account, model, of_model)
        for model, of_model in limits.by_model.items()
        if of_model.requests_per_minute is not None or of_model.tokens_per_minute is not None
    }


def _model_rates(account: Account, model: str, limits: ModelLimits) -> Rates:
    rates = account.rates_of(model)
    rates.configure(limits)
    return rates


def _pool_settings(provider: ProviderSpec, spec: Spec) -> PoolSettings:
    pool = provider.pool
    max_connections, max_overflow = provider.pool_caps(spec.tuning, replicas=spec.largest_replicas)
    return PoolSettings(
        min_connections=min(pool.min_connections, max_connections + max_overflow),
        max_connections=max_connections,
        max_overflow=max_overflow,
        idle_timeout=pool.idle_timeout,
        acquire_timeout=pool.acquire_timeout,
        max_waiting=pool.max_waiting,
        max_lifetime=pool.max_lifetime,
        validate_after=pool.validate_after,
    )


def _timeouts(provider: ProviderSpec) -> Timeouts:
    timeouts = provider.timeouts
    return Timeouts(
        connect=timeouts.connect,
        first_byte=timeouts.first_byte,
        idle=timeouts.idle,
        total=timeouts.total,
    )


def _breaker(settings: CircuitBreakerSettings) -> CircuitBreaker:
    return CircuitBreaker(
        failure_ratio=settings.failure_ratio,
        window=settings.window,
        min_requests=settings.min_requests,
        open_for=settings.open_for,
        half_open_probes=settings.half_open_probes,
    )
