"""Limits of a provider account: as a document states them, and as `PUT /limits` moves them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from mcp_gateway.api.fields import Count, Model, ModelName, Name

Requests = Annotated[int, Field(ge=0, le=1_000_000)]


class ModelLimits(Model):
    """What the account may do on one model. What is not given is not limited by the model."""

    concurrency: Count | None = None
    """Requests in flight at once on this model. GLM limits this way."""

    requests_per_minute: Count | None = None
    """Requests started within a minute on this model."""

    tokens_per_minute: Count | None = None
    """Prompt and completion tokens within a minute on this model."""


class AccountLimits(Model):
    """What the provider allows the account, over all its users.

    What is not given is learned from refusals.
    """

    concurrency: Count | None = None
    """Requests in flight at once. The gateway never starts one more."""

    requests_per_minute: Count | None = None
    """Requests started within a minute (RPM)."""

    tokens_per_minute: Count | None = None
    """Prompt and completion tokens within a minute (TPM): charged by estimate when a request
    starts, corrected by its usage when it ends."""

    tokens_per_day: Count | None = None
    """Prompt and completion tokens within a day (TPD)."""

    by_model: Annotated[dict[ModelName, ModelLimits], Field(max_length=256)] = Field(default={})
    """Limits of single models, by the provider's model name: `{glm-5: {concurrency: 30}}`."""

    def over(self, base: AccountLimits) -> AccountLimits:
        """These limits, completed by those of `base` where they say nothing."""
        own = {name: getattr(self, name) for name in self.model_fields_set}
        return base.model_copy(update=own)


class ModelShare(Model):
    """A part of what one model allows, given to this gateway."""

    share: Requests | None = None
    """Requests in flight at once on this model; null takes the bound away."""

    requests_per_minute: Requests | None = None
    """Requests started within a minute; null takes the bound away."""

    tokens_per_minute: Annotated[int, Field(ge=0, le=1_000_000_000)] | None = None
    """Tokens within a minute; null takes the bound away."""


class AccountShare(ModelShare):
    """A part of what an account allows, given to this gateway.

    What is left out stays as it is; `model_fields_set` tells what was given.
    """

    by_model: Annotated[dict[ModelName, ModelShare], Field(max_length=256)] = Field(default={})
    """Parts of single models' limits, by model name."""


class LimitsUpdate(Model):
    """The body of `PUT /limits`: `{"providers": {"kimi": {"share": 25}}}`. All or nothing."""

    providers: Annotated[dict[Name, AccountShare], Field(min_length=1, max_length=64)]
    """The parts by provider name. Providers that are not named keep theirs."""
