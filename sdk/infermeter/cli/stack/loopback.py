"""HTTP to our own parts on this machine: short, without proxies, and never raising for a part that is not there."""

from __future__ import annotations

import http.client
import json
from typing import Any
from urllib.parse import urlsplit


def get(url: str, *, timeout_s: float = 2.0) -> tuple[int, bytes]:
    """Return status and body of a GET; status 0 when nobody answers."""
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "127.0.0.1", parts.port, timeout=timeout_s)
    try:
        connection.request("GET", f"{parts.path or '/'}{'?' if parts.query else ''}{parts.query}")
        answer = connection.getresponse()
        return answer.status, answer.read()
    except (OSError, http.client.HTTPException) as problem:
        return 0, str(problem).encode()
    finally:
        connection.close()


def get_json(url: str, *, timeout_s: float = 2.0) -> Any:
    """Return the decoded body of a GET that was answered with 200; None for any other outcome."""
    status, body = get(url, timeout_s=timeout_s)
    if status != http.client.OK:
        return None
    try:
        return json.loads(body)
    except ValueError:
        return None
