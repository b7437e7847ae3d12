"""What this process may use of its accounts, where an operator divides them among pods.

```text
              ┌── document ──┐  mode Auto, in a fleet
              ▼              │────────────────────────▶  NOTHING ──nobody speaks──▶ BOOTSTRAP
   mode Off, or no fleet:    │                             │  ▲                         │
   the document's numbers    │◀────────────────────────    │  └─ another key ─┐         │
                             │     mode Off              grant             GRANT ◀──────┘
                             └──────────────────────       └────────────────▶  (each replaces)
```

A limit whose number is known is not used at all before it was granted: other pods may hold all of
it. One that is not known begins with a few requests, because there is nothing to overrun. A grant
is for the account that the provider had when it came: another key is another account.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from mcp_gateway.api import ModelLimits, Spec
from mcp_gateway.api.control import Grant
from mcp_gateway.api.quota import Peer, Quota
from mcp_gateway.proxy.account import Account
from mcp_gateway.upstream.lane import FIRST_LIMIT

REASONS: Final = 10
"""Changes of a ceiling that are remembered, for people."""

Limit = tuple[str, str]
"""A provider's name and a model's; the model is empty for the account."""


class Standing(StrEnum):
    """By whose word an account is used."""

    DOCUMENT = "document"
    NOTHING = "nothing"
    BOOTSTRAP = "bootstrap"
    GRANT = "grant"


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may be used of one limit; None where nothing bounds it."""

    share: int | None
    requests_per_minute: int | None
    tokens_per_minute: int | None


@dataclass(frozen=True, slots=True)
class Ceiling:
    """What a whole account was allowed to have in flight, from a moment on.

    Attributes:
        at: Unix time when it was heard.
        ceiling: requests in flight; None where the grant did not say.
        reason: why it changed.
    """

    at: float
    ceiling: int | None
    reason: str


class Governor:
    """Keeps what the operator granted, and sets every account accordingly.

    Args:
        live: the accounts, by provider; always the same mapping.
        in_fleet: there is an operator. Without, the document's numbers hold in every mode.

    Attributes:
        governs: the operator divides the limits now.
        grant: the one in force; None before the first.
        silent: the operator was given up: cuts recover alone, up to the share.
        ceilings: how the ceilings changed, the newest last.
    """

    def __init__(self, live: Mapping[str, Account], *, in_fleet: bool = False) -> None:
        self._live = live
        self._in_fleet = in_fleet
        self._replicas = 1
        self._held: dict[Limit, tuple[Quota, str]] = {}
        self._applied: dict[Limit, tuple[str, Bounds]] = {}
        self._bootstrapped: set[str] = set()
        self._unknown: set[Limit] = set()
        self._alone = False
        self.governs = False
        self.grant: Grant | None = None
        self.silent = False
        self.ceilings: dict[Limit, deque[Ceiling]] = {}

    def follow(self, spec: Spec) -> None:
        """Take note of a document; its accounts are settled as they come into force."""
        self.governs = self._in_fleet and spec.tuning.mode == "Auto"
        self._replicas = spec.largest_replicas
        # What was granted to a provider that went, or before a time without an operator's word, may
        # be others' by now.
        names = {provider.name for provider in spec.providers} if self.governs else set()
        self._held = {limit: held for limit, held in self._held.items() if limit[0] in names}

    def restore(self, grant: Grant, accounts: Mapping[str, str]) -> None:
        """Go on with the grant of the process before; what that one began is not known.

        Args:
            grant: the grant.
            accounts: the accounts that it was for, by provider.
        """
        self.grant = grant
        for quota in grant.quotas:
            limit = quota.provider, quota.model
            self._held[limit] = quota, accounts.get(quota.provider, "")
            self._unknown.add(limit)

    def take(self, grant: Grant, at: float) -> None:
        """Bring a grant into force; it takes the place of everything before.

        Args:
            grant: the grant.
            at: Unix time, for people.
        """
        self.grant = grant
        self._bootstrapped.clear()
        self._held = {
            (quota.provider, quota.model): (quota, account.identity)
            for quota in grant.quotas
            if (account := self._live.get(quota.provider)) is not None
            and quota.account in {"", account.identity}
        }
        for quota in grant.quotas:
            self._note(quota, at)
        # Clients make up models, and each that was ever granted would be remembered.
        told = {(quota.provider, quota.model) for quota in grant.quotas}
        self.ceilings = {limit: known for limit, known in self.ceilings.items() if limit in told}
        self.silent = False
        for account in self._live.values():
            self.settle(account, spoken=True)
            warm = [q.warm or 0 for (name, _), (q, _) in self._held.items() if name == account.name]
            account.pool.keep_warm(sum(warm) if self.governs else 0)

    def hear(self) -> None:
        """The operator said a word, whatever it was."""
        self._alone = False

    def leave_alone(self) -> None:
        """Nobody has spoken for a while: use a part that is small enough for every pod."""
        self._alone = True
        for account in self._live.values():
            self.settle(account)

    def give_up(self) -> None:
        """The operator is gone: shares stay, and cuts recover without it."""
        self.silent = True
        if self.governs:
            for account in self._live.values():
                account.pool.lanes.root.limit.release()
                for lane in account.pool.lanes:
                    lane.limit.release()

    def standing(self, account: Account) -> Standing:
        """By whose word an account is used."""
        if not self.governs:
            return Standing.DOCUMENT
        if self._knows(account):
            return Standing.GRANT
        return Standing.BOOTSTRAP if account.identity in self._bootstrapped else Standing.NOTHING

    def standings(self) -> dict[str, int]:
        """How many accounts are used by whose word."""
        found = dict.fromkeys((standing.value for standing in Standing), 0)
        for account in self._live.values():
            found[self.standing(account).value] += 1
        return found

    def accounts(self) -> dict[str, str]:
        """The accounts that the grant in force is for, by provider."""
        return {provider: identity for (provider, _), (_, identity) in self._held.items()}

    # --- setting an account --------------------------------------------------------------

    def settle(self, account: Account, *, spoken: bool = False) -> None:
        """Set an account to what it may use now, where it is not set so already.

        Args:
            account: the account; its spec and identity are those in force.
            spoken: the operator speaks, which ends a cut also where no number changes.
        """
        if not self.governs:
            self._forget(account.name)
            return
        # What was granted to an account that was left may be others' before it comes back.
        self._held = {
            limit: (quota, identity)
            for limit, (quota, identity) in self._held.items()
            if limit[0] != account.name or identity == account.identity
        }
        if self._alone and not self._knows(account):
            self._bootstrapped.add(account.identity)
        account.governed = True
        account.pool.lanes.set_unlisted(FIRST_LIMIT, governed=True)
        for model in list(self._models(account)):
            limit = account.name, model
            bounds = self._bounds(account, model)
            if spoken or self._applied.get(limit) != (account.identity, bounds):
                self._apply(account, model, bounds)
                self._applied[limit] = account.identity, bounds
        account.set_peers(self._peers(account))

    def _models(self, account: Account) -> Iterator[str]:
        """The account's own limit first, then every model that has one."""
        granted = {model for provider, model in self._held if provider == account.name}
        lanes = {lane.name for lane in account.pool.lanes}
        stated = account.spec.effective_limits().by_model
        yield from sorted({"", *granted, *lanes, *stated})

    def _bounds(self, account: Account, model: str) -> Bounds:
        limits = account.spec.effective_limits()
        stated = limits.by_model.get(model, _UNSTATED) if model else limits
        rpm, tpm = stated.requests_per_minute, stated.tokens_per_minute
        part = Bounds(*map(self._part, (stated.concurrency, rpm, tpm)))
        quota = self._quota(account, model)
        if quota is not None:
            # What a grant does not bound is the pod's own to bound.
            given = quota.share, quota.requests_per_minute, quota.tokens_per_minute
            own = part.share, part.requests_per_minute, part.tokens_per_minute
            return Bounds(*(o if g is None else g for g, o in zip(given, own, strict=True)))
        # An account of models that are limited one by one is not divided, nor is a model of an
        # account that is: its part is what every pod may use.
        if account.pool.lanes.by_lane != bool(model):
            return part
        unknown = FIRST_LIMIT if stated.concurrency is None else 0
        if account.identity in self._bootstrapped:
            # Fewer than there are pods cannot be divided without asking: then nobody has one.
            share, rpm, tpm = (
                each and each // self._replicas for each in (stated.concurrency, rpm, tpm)
            )
            return Bounds(unknown if share is None else share, rpm, tpm)
        return Bounds(unknown, rpm and 0, tpm and 0)

    def _apply(self, account: Account, model: str, bounds: Bounds) -> None:
        quota = self._quota(account, model)
        share = bounds.share
        start = None if share is not None else account.pool.lanes.capacity
        account.pool.set_share(share, model, governed=not self.silent, start=start)
        if model and quota is None and model not in account.spec.effective_limits().by_model:
            account.pool.lanes.unpin(model)
        requests, tokens = bounds.requests_per_minute, bounds.tokens_per_minute
        unlimited = requests is tokens is None
        if not model or not unlimited or model in account.model_rates:
            rates = account.rates_of(model)
            rates.may_rise = True
            rates.set_requests(requests)
            rates.set_tokens(tokens)
            if quota is not None and (account.name, model) in self._unknown:
                rates.assume_used(account.loop.time())
        self._unknown.discard((account.name, model))

    def _peers(self, account: Account) -> dict[str, list[Peer]]:
        """Who holds slots of an account, if it is the one that the grant is for."""
        found: dict[str, list[Peer]] = {}
        if self.grant is not None and self._knows(account):
            for peer in self.grant.peers:
                if peer.provider == account.name:
                    found.setdefault(peer.model, []).append(peer)
        return found

    def _quota(self, account: Account, model: str) -> Quota | None:
        quota, identity = self._held.get((account.name, model), (None, ""))
        return quota if identity == account.identity else None

    def _knows(self, account: Account) -> bool:
        """The grant in force says something about it."""
        return any(
            provider == account.name and identity == account.identity
            for (provider, _), (_, identity) in self._held.items()
        )

    def _part(self, number: int | None) -> int | None:
        """What every one of the largest number of pods may use without asking."""
        return None if number is None else max(1, number // self._replicas)

    def _forget(self, provider: str) -> None:
        for limit in [limit for limit in self._applied if limit[0] == provider]:
            del self._applied[limit]

    def _note(self, quota: Quota, at: float) -> None:
        known = self.ceilings.setdefault((quota.provider, quota.model), deque(maxlen=REASONS))
        last = known[-1] if known else None
        if last is None or (last.ceiling, last.reason) != (quota.ceiling, quota.reason):
            known.append(Ceiling(at, quota.ceiling, quota.reason))


_UNSTATED = ModelLimits()
