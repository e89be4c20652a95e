"""Another Prometheus next to a running stack, with a configuration of the test's own, as somebody may have erred."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml
from tests.pipeline.live_stack import LiveStack

from infermeter.cli.stack import processes
from infermeter.cli.stack.readiness import all_of, answers, wait_for

Config = dict[str, Any]


@contextmanager
def second_prometheus(
    binary: Path, stack: LiveStack, folder: Path, change: Callable[[Config], None], port: int | None = None
) -> Iterator[str]:
    """Start a Prometheus on the stack's own configuration after `change` has edited it; gives its address."""
    folder.mkdir()
    config: Config = yaml.safe_load((stack.stack.places.config / "prometheus.yml").read_text(encoding="utf-8"))
    change(config)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config), encoding="utf-8")
    address = f"127.0.0.1:{port or _free_port()}"
    argv = (
        str(binary),
        f"--config.file={file}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address={address}",
        "--scrape.discovery-reload-interval=250ms",
    )
    child = processes.spawn(argv, env={}, cwd=folder, log=folder / "log")
    try:
        wait_for("a second Prometheus", all_of(answers(f"http://{address}/-/ready")), timeout_s=30)
        yield f"http://{address}"
    finally:
        processes.stop([processes.identify_child(child.pid)], grace_s=8)
        child.wait(timeout=8)


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number: int = free.getsockname()[1]
        return number


def scrape_job(config: Config, name: str) -> Config:
    """Return a job of a configuration, to be edited."""
    return next(job for job in config["scrape_configs"] if job["job_name"] == name)
