"""A control plane on loopback: etcd and the API server; controllers, scheduler and simulated nodes where asked for.

Knows how the parts are started and stopped; knows nothing of the chart.
"""

from __future__ import annotations

import json
import os
import secrets
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import trustme
import yaml
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from tests.kubernetes.ports import free_ports
from tests.kubernetes.tools import tool
from tests.waiting import until

from infermeter.cli.stack import processes

Object = dict[str, Any]
# kwok gives pods addresses from here, where processes of this machine can listen.
POD_NETWORK = "127.42.0.1/16"


class Cluster:
    """A running API server and the ways to ask it.

    Args:
        url: Of the API server.
        folder: Where its files lie.
        token: Of an administrator.
    """

    def __init__(self, url: str, folder: Path, token: str) -> None:
        self.url, self.folder, self.token = url, folder, token
        self.ca = folder / "ca.crt"
        self.kubeconfig = self.kubeconfig_of("admin", token)

    def kubeconfig_of(self, user: str, token: str) -> Path:
        """Write a kubeconfig for whoever has this token."""
        file = self.folder / f"{user}.kubeconfig"
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [{"name": "test", "cluster": {"server": self.url, "certificate-authority": str(self.ca)}}],
            "users": [{"name": user, "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": user}}],
        }
        file.write_text(yaml.safe_dump(content), encoding="utf-8")
        return file

    @property
    def environment(self) -> dict[str, str]:
        """The environment in which kubectl and helm mean this cluster, and keep nothing in the user's home."""
        home = self.folder / "home"
        folders = {f"HELM_{name}_HOME": str(home / name) for name in ("CACHE", "CONFIG", "DATA")}
        path = os.pathsep.join([str(tool("kubectl").parent), str(tool("helm").parent), os.environ["PATH"]])
        return {
            **os.environ, **folders, "KUBECONFIG": str(self.kubeconfig), "HOME": str(home), "PATH": path,
            "NO_PROXY": "127.0.0.1", "no_proxy": "127.0.0.1",
        }  # fmt: skip

    def kubectl(
        self, *arguments: str | Path, given: object = None, may_fail: bool = False
    ) -> subprocess.CompletedProcess[str]:
        """Run kubectl; what is given goes to it as a file named -."""
        text = given if given is None or isinstance(given, str) else json.dumps(given)
        ran = subprocess.run(
            [str(tool("kubectl")), *map(str, arguments)],
            env=self.environment, input=text, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        assert may_fail or ran.returncode == 0, f"kubectl {' '.join(map(str, arguments))}:\n{ran.stdout}{ran.stderr}"
        return ran

    def get(self, *arguments: str) -> Object:
        """Return what `kubectl get` finds."""
        answer: Object = json.loads(self.kubectl("get", *arguments, "-o", "json").stdout)
        return answer

    def items(self, *arguments: str) -> list[Object]:
        """Return the objects of a list that `kubectl get` finds."""
        listed: list[Object] = self.get(*arguments)["items"]
        return listed

    def apply(self, *objects: Object) -> None:
        """Apply objects as a user would, on the server's side."""
        self.kubectl("apply", "--server-side", "-f", "-", given={"apiVersion": "v1", "kind": "List", "items": objects})

    def namespace(self, name: str, **labels: str) -> None:
        """Create a namespace and the account that every pod of it has, which a controller would create."""
        self.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "default", "namespace": name}},
        )

    def set_status(self, pod: Object, **status: Any) -> None:
        """Say what a kubelet would say of a pod."""
        meta = pod["metadata"]
        patch = json.dumps({"status": status})
        self.kubectl(
            "patch", "pod", meta["name"], "-n", meta["namespace"], "--subresource=status", "--type=merge", "-p", patch
        )

    def token_of(self, namespace: str, account: str) -> str:
        """Return a token of a ServiceAccount, as its pods get one."""
        return self.kubectl("create", "token", account, "-n", namespace).stdout.strip()


@contextmanager
def control_plane(folder: Path) -> Iterator[Cluster]:
    """Start etcd and the API server, and stop them."""
    etcd, peer, secure = free_ports(3)
    token = secrets.token_hex(16)
    _write_credentials(folder, token)
    with ExitStack() as parts:
        parts.enter_context(_part(folder, "etcd", (
            tool("etcd"), f"--data-dir={folder / 'etcd'}", "--unsafe-no-fsync", "--logger=zap", "--log-level=warn",
            f"--listen-client-urls=http://127.0.0.1:{etcd}", f"--advertise-client-urls=http://127.0.0.1:{etcd}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}", f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
        )))  # fmt: skip
        parts.enter_context(_part(folder, "kube-apiserver", (
            tool("kube-apiserver"), f"--etcd-servers=http://127.0.0.1:{etcd}",
            "--bind-address=127.0.0.1", "--advertise-address=127.0.0.1", f"--secure-port={secure}",
            "--endpoint-reconciler-type=none", "--service-cluster-ip-range=10.96.0.0/16",
            f"--tls-cert-file={folder / 'server.crt'}", f"--tls-private-key-file={folder / 'server.key'}",
            "--service-account-issuer=https://kubernetes.default.svc",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            f"--token-auth-file={folder / 'tokens.csv'}", "--authorization-mode=RBAC", "--allow-privileged=true",
        )))  # fmt: skip
        cluster = Cluster(f"https://127.0.0.1:{secure}", folder, token)
        until(lambda: _ready(cluster), f"the API server; its log is {folder}/kube-apiserver.log", timeout_s=90)
        yield cluster


@contextmanager
def controllers(cluster: Cluster) -> Iterator[None]:
    """Start what makes pods of Deployments and puts them on nodes, and kwok, which plays the nodes."""
    folder = cluster.folder
    manager, scheduler, kwok = free_ports(3)
    config = f"--kubeconfig={cluster.kubeconfig}"
    asks = (
        f"--authentication-kubeconfig={cluster.kubeconfig}",
        f"--authorization-kubeconfig={cluster.kubeconfig}",
        "--authentication-skip-lookup=true",
    )
    with ExitStack() as parts:
        parts.enter_context(_part(folder, "kube-controller-manager", (
            tool("kube-controller-manager"), config, *asks, "--bind-address=127.0.0.1", f"--secure-port={manager}",
            "--leader-elect=false", f"--service-account-private-key-file={folder / 'accounts.key'}",
            f"--root-ca-file={cluster.ca}", "--use-service-account-credentials=false",
        )))  # fmt: skip
        parts.enter_context(_part(folder, "kube-scheduler", (
            tool("kube-scheduler"), config, *asks, "--bind-address=127.0.0.1", f"--secure-port={scheduler}",
            "--leader-elect=false",
        )))  # fmt: skip
        parts.enter_context(_part(folder, "kwok", (
            tool("kwok"), config, "--manage-all-nodes=true", f"--cidr={POD_NETWORK}", "--node-ip=127.0.0.1",
            f"--server-address=127.0.0.1:{kwok}", "--node-lease-duration-seconds=40",
        )))  # fmt: skip
        yield


def _ready(cluster: Cluster) -> bool:
    return cluster.kubectl("get", "--raw", "/readyz", may_fail=True).stdout == "ok"


def _write_credentials(folder: Path, token: str) -> None:
    authority = trustme.CA()
    server = authority.issue_cert("127.0.0.1", "localhost")
    authority.cert_pem.write_to_path(folder / "ca.crt")
    server.private_key_pem.write_to_path(folder / "server.key")
    (folder / "server.crt").write_bytes(b"".join(blob.bytes() for blob in server.cert_chain_pems))
    accounts = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "accounts.key").write_bytes(
        accounts.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
        )
    )
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n', encoding="utf-8")


@contextmanager
def _part(folder: Path, name: str, argv: Sequence[str | Path]) -> Iterator[None]:
    child = processes.spawn(list(map(str, argv)), env=dict(os.environ), cwd=folder, log=folder / f"{name}.log")
    try:
        yield
    finally:
        processes.stop([processes.identify_child(child.pid)], grace_s=8)
        child.wait(timeout=8)
