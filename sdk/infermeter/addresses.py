"""How an address is written."""

from __future__ import annotations


def in_url(host: str) -> str:
    """Return a host as URLs have it: an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host
