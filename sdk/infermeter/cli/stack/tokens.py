"""The bearer token that the stack's collector demands, from the environment."""

from __future__ import annotations

import os
import re

import click


def bearer_token() -> str | None:
    """Return the token that INFERMETER_OTLP_TOKEN names; None where everybody on this machine may send.

    Raises:
        click.UsageError: It has characters that a token cannot have.
    """
    token = os.environ.get("INFERMETER_OTLP_TOKEN") or None
    # The characters of RFC 6750: the collector splits its token file at spaces.
    if token is not None and not re.fullmatch(r"[A-Za-z0-9._~+/=-]+", token):
        raise click.UsageError("INFERMETER_OTLP_TOKEN may have letters, digits and . _ ~ + / = - only")
    return token
