"""Hosts: how they are written, and whether they are this machine."""

from __future__ import annotations

import ipaddress


def in_url(host: str) -> str:
    """Return a host as URLs have it: an IPv6 address in brackets (RFC 3986, section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def is_loopback(host: str) -> bool:
    """Return whether a host, an address or ``localhost``, is this machine and reachable from nowhere else."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
