"""Where a secret comes from. A document names secrets; it does not hold them."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, SecretStr

from mcp_gateway.api.fields import DATA_KEY, DNS_NAME, VARIABLE, Model, Rule, exactly_one


class SecretReference(Model):
    """One key of a Secret: of the cluster, or of the folder given by `--secrets-dir`."""

    name: Annotated[str, Field(min_length=1, max_length=253, pattern=DNS_NAME)]
    """Name of the Secret, in the gateway's own namespace. On a laptop, the folder
    `SECRETS_DIR/NAME`."""

    key: Annotated[str, Field(min_length=1, max_length=253, pattern=DATA_KEY)]
    """Key within the Secret. On a laptop, the file `SECRETS_DIR/NAME/KEY`."""


class SecretSource(Model):
    """Where one secret is read from: exactly one of `secretRef`, `env` and `value`."""

    secret_ref: SecretReference | None = None
    """A key of a Secret: `{name: kimi, key: api-key}`. Followed when it changes, without a
    restart. The form to use in a cluster."""

    env: Annotated[str, Field(max_length=128, pattern=VARIABLE)] | None = None
    """Name of an environment variable of the gateway: `KIMI_API_KEY`. Read when the document
    is applied. Handy on a laptop."""

    value: Annotated[SecretStr, Field(max_length=65_536)] | None = None
    """The secret itself, in plain text. Accepted with a warning: whoever can read the document
    can read it too."""

    rules = (
        Rule(
            ("secret_ref", "env", "value"),
            lambda s: exactly_one(s.secret_ref, s.env, s.value),
            "[has(self.secretRef), has(self.env), has(self.value)].filter(x, x).size() == 1",
            "give exactly one of secretRef, env and value",
        ),
    )
