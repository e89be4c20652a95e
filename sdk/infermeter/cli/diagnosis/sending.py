"""The first hops: settings, the way to the collector, and whether it takes what the SDK sends."""

from __future__ import annotations

import logging
import os
import socket
import ssl
from importlib.metadata import version
from urllib.parse import urlsplit

import requests
from opentelemetry.util.re import parse_env_headers

import infermeter
from infermeter.cli.diagnosis.finding import Finding, failed, ok
from infermeter.cli.exit_codes import ExitCode
from infermeter.errors import ConfigError, MissingExtraError
from infermeter.settings import METRICS_PATH, Resolved, Settings, resolve

CANARY_JOB = "infermeter-doctor"
"""The service name of the doctor; the rule DoctorCanary waits for it."""
_OLDEST_SDK = (1, 36)
_TIMEOUT_S = 5.0
_DEFAULT_HTTP, _DEFAULT_GRPC = "http://localhost:4318", "http://localhost:4317"


def check_sdk_version() -> Finding:
    """Compare the installed OpenTelemetry SDK with the oldest that is supported."""
    installed = version("opentelemetry-sdk")
    if tuple(int(part) for part in installed.split(".")[:2]) < _OLDEST_SDK:
        return failed(
            "versions",
            f"opentelemetry-sdk {installed} is older than 1.36, the oldest that is supported.",
            "pip install --upgrade opentelemetry-sdk opentelemetry-exporter-otlp-proto-http",
            ExitCode.DOCTOR_VERSIONS,
        )
    return ok("versions", f"infermeter {version('infermeter')} on opentelemetry-sdk {installed}.")


def check_settings(settings: Settings) -> tuple[Resolved | None, Finding]:
    """Decide the settings as a service in this environment would."""
    try:
        resolved = resolve(settings)
    except ConfigError as error:
        return None, _wrong_setting(str(error), "Correct it where the service is started.")
    if resolved.disabled:
        return None, _wrong_setting("OTEL_SDK_DISABLED switches everything off.", "Unset it, or set it to false.")
    if "otlp" not in resolved.exporters:
        return None, _wrong_setting(
            f"OTEL_METRICS_EXPORTER is {','.join(resolved.exporters)}: nothing is sent to a collector.",
            "Unset it, or set it to otlp; a service that is scraped itself needs no collector.",
        )
    return resolved, ok("settings", f"Metrics go to {destination(resolved)} by {resolved.protocol}.")


def destination(settings: Resolved) -> str:
    """Return the URL that metrics are sent to."""
    if settings.protocol == "grpc":
        return settings.endpoint or _DEFAULT_GRPC
    return settings.endpoint or _DEFAULT_HTTP + METRICS_PATH


def check_endpoint(settings: Resolved) -> Finding:
    """Knock where metrics are sent: does somebody listen, speak the right protocol, and accept our token."""
    url = destination(settings)
    parts = urlsplit(url if "//" in url else f"//{url}")
    host, port = parts.hostname or "localhost", parts.port or (443 if parts.scheme == "https" else 80)
    try:
        socket.create_connection((host, port), timeout=_TIMEOUT_S).close()
    except socket.gaierror:
        return failed(
            "endpoint",
            f"The name {host} cannot be resolved.",
            "Correct the host in OTEL_EXPORTER_OTLP_ENDPOINT.",
            ExitCode.DOCTOR_ENDPOINT,
        )
    except OSError as error:
        return failed(
            "endpoint",
            f"Nobody answers at {host}:{port} ({error.strerror or 'no answer in time'}).",
            "Is the collector running (`infermeter status`), and is OTEL_EXPORTER_OTLP_ENDPOINT its address? "
            "By default it listens on 4318 for HTTP and on 4317 for gRPC.",
            ExitCode.DOCTOR_ENDPOINT,
        )
    if settings.protocol == "grpc":
        return ok("endpoint", f"{host}:{port} accepts connections.")
    return _knock(settings, url, host, port)


def _knock(settings: Resolved, url: str, host: str, port: int) -> Finding:
    """Send an export request without content, which every receiver answers."""
    headers = {"Content-Type": "application/x-protobuf", **_environment_headers(), **(settings.headers or {})}
    authority = _environment("CERTIFICATE") or True
    try:
        answer = requests.post(url, data=b"", headers=headers, timeout=_TIMEOUT_S, verify=authority)
    except requests.exceptions.SSLError as error:
        return _tls_trouble(url, host, port, str(error))
    except requests.RequestException as error:
        if url.startswith("http://") and _speaks_tls(host, port):
            return failed(
                "endpoint",
                f"{host}:{port} speaks TLS, and the address begins with http://.",
                "Write https:// in OTEL_EXPORTER_OTLP_ENDPOINT.",
                ExitCode.DOCTOR_TLS,
            )
        return _wrong_port(host, port, type(error).__name__)
    status = answer.status_code
    if status == requests.codes.bad_request and "HTTPS" in answer.text:
        return failed(
            "endpoint",
            f"{host}:{port} speaks TLS, and the address begins with http://.",
            "Write https:// in OTEL_EXPORTER_OTLP_ENDPOINT.",
            ExitCode.DOCTOR_TLS,
        )
    if status in (requests.codes.unauthorized, requests.codes.forbidden):
        sent = any(name.lower() == "authorization" for name in headers)
        return failed(
            "endpoint",
            f"The collector refuses {'this token' if sent else 'to take anything without a token'} (HTTP {status}).",
            "Set OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN with the token of the collector's file.",
            ExitCode.DOCTOR_TOKEN,
        )
    if status == requests.codes.not_found:
        return failed(
            "endpoint",
            f"{url} is unknown there (HTTP 404).",
            f"Give the base address in OTEL_EXPORTER_OTLP_ENDPOINT; {METRICS_PATH} is added by itself.",
            ExitCode.DOCTOR_ENDPOINT,
        )
    if status in (requests.codes.too_many_requests, requests.codes.service_unavailable):
        return failed(
            "endpoint",
            f"The collector is overloaded (HTTP {status}) and refuses for now.",
            "Give it more memory or a second replica; services keep their totals and send them later.",
            ExitCode.DOCTOR_COLLECTOR,
        )
    if not answer.ok:
        return _wrong_port(host, port, f"HTTP {status}")
    return ok("endpoint", f"{host}:{port} takes metrics.")


def send_canary(settings: Resolved, instance: str) -> Finding:
    """Send one export through the SDK itself, as a service of its own name."""
    said: list[str] = []

    class _Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    listener = _Listener(logging.WARNING)
    logger = logging.getLogger("infermeter")
    passed_on, logger.propagate = logger.propagate, False
    logger.addHandler(listener)
    try:
        infermeter.configure(
            service_name=CANARY_JOB,
            endpoint=settings.endpoint,
            exporter="otlp",
            headers=settings.headers,
            resource_attributes={**settings.resource_attributes, "service.instance.id": instance},
            handle_sigterm=False,
        )
        sent = infermeter.force_flush(timeout_s=settings.export_timeout_s + 1.0)
        infermeter.shutdown()
    except (ConfigError, MissingExtraError) as error:
        return _wrong_setting(str(error), "Correct the setting, or install the extra it names.")
    finally:
        logger.removeHandler(listener)
        logger.propagate = passed_on
    if not sent:
        reason = said[-1] if said else f"no answer within {settings.export_timeout_s:g} s"
        refused = "UNAUTHENTICATED" in reason
        return failed(
            "export",
            f"The SDK's export failed: {reason}",
            "Set OTEL_EXPORTER_OTLP_HEADERS=Authorization=Bearer%20TOKEN with the token of the collector's file."
            if refused
            else "Does the protocol fit the port? HTTP is 4318, gRPC is 4317 (OTEL_EXPORTER_OTLP_PROTOCOL).",
            ExitCode.DOCTOR_TOKEN if refused else ExitCode.DOCTOR_ENDPOINT,
        )
    return ok("export", "The SDK sent its canary, and the collector took it.")


def _tls_trouble(url: str, host: str, port: int, reason: str) -> Finding:
    if not _speaks_tls(host, port):
        return failed(
            "endpoint",
            f"{host}:{port} speaks plain HTTP, and the address begins with https://.",
            "Write http:// in OTEL_EXPORTER_OTLP_ENDPOINT, or switch TLS on in the collector.",
            ExitCode.DOCTOR_TLS,
        )
    expired = "expired" in reason
    return failed(
        "endpoint",
        f"The certificate of {url} is not trusted here{': it has expired' if expired else ''}.",
        "Renew it." if expired else "Set OTEL_EXPORTER_OTLP_CERTIFICATE to the file of the authority that signed it.",
        ExitCode.DOCTOR_TLS,
    )


def _wrong_port(host: str, port: int, seen: str) -> Finding:
    return failed(
        "endpoint",
        f"{host}:{port} does not speak OTLP over HTTP ({seen}).",
        "Use the port of OTLP over HTTP, 4318 by default, or set OTEL_EXPORTER_OTLP_PROTOCOL=grpc for 4317.",
        ExitCode.DOCTOR_ENDPOINT,
    )


def _speaks_tls(host: str, port: int) -> bool:
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE  # only asks whether it is TLS at all
    try:
        with socket.create_connection((host, port), timeout=_TIMEOUT_S) as plain, context.wrap_socket(plain):
            return True
    except OSError:
        return False


def _environment_headers() -> dict[str, str]:
    """Return the headers that OpenTelemetry's exporter takes from the environment."""
    return dict(parse_env_headers(_environment("HEADERS") or "", liberal=True))


def _environment(name: str) -> str | None:
    """Return a variable of OTLP; the one for metrics alone wins."""
    return os.environ.get(f"OTEL_EXPORTER_OTLP_METRICS_{name}") or os.environ.get(f"OTEL_EXPORTER_OTLP_{name}")


def _wrong_setting(found: str, remedy: str) -> Finding:
    return failed("settings", found, remedy, ExitCode.DOCTOR_SETTINGS)
