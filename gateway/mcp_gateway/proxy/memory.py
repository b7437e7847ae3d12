"""What was used and learned under former documents, and still counts under the next."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping

from mcp_gateway.limits.rate import TokenBucket
from mcp_gateway.limits.retry import RetryBudget
from mcp_gateway.proxy.account import Account
from mcp_gateway.proxy.model_list import ModelList


class Memory:
    """Outlives documents: a reload is no way to a fresh rate or to more retries.

    Attributes:
        buckets: of clients, by key, the one used last at the end.
        budget: of retries.
    """

    def __init__(self) -> None:
        self.buckets: OrderedDict[str, TokenBucket] = OrderedDict()
        self.budget = RetryBudget()
        self._lists: dict[str, ModelList] = {}

    def model_lists(self, accounts: Mapping[str, Account]) -> dict[str, ModelList]:
        """The lists of these accounts; what is known of those that stay is kept."""
        known = self._lists
        self._lists = {
            name: known[name]
            if name in known and known[name].is_of(account)
            else ModelList(account)
            for name, account in accounts.items()
        }
        return dict(self._lists)
