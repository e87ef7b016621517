"""How a container's process gets its surroundings: namespaces, resolv.conf, hosts, host name. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sidestep.local.children import enter_network
from sidestep.local.layout import Layout
from sidestep.local.pod_spec import RunningPod

# The shell runs inside the new mount and UTS namespaces and then becomes the container's command.
_PREPARE = (
    'mount --bind "$1" /etc/resolv.conf && mount --bind "$2" /etc/hosts && '
    'printf %s "$3" > /proc/sys/kernel/hostname && cd "$4" && shift 4 && exec "$@"'
)
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def start_command(
    layout: Layout, pod: RunningPod, network_namespace: str, folder: str, command: Sequence[str]
) -> list[str]:
    """Start `command` in the pod's network namespace, with mounts and a host name of its own."""
    home = layout.pod(pod.namespace, pod.name)
    prepare = ["/bin/sh", "-c", _PREPARE, "sidestep", str(home / "resolv.conf"), str(home / "hosts")]
    isolate = ["unshare", "--mount", "--uts", "--"]
    return [
        *enter_network(network_namespace),
        *isolate,
        *prepare,
        pod.spec.hostname or pod.name,
        folder or "/",
        *command,
    ]


def join_command(pid: int, command: Sequence[str]) -> list[str]:
    """Run `command` beside the process `pid`: in its namespaces and its working folder."""
    return ["nsenter", f"--target={pid}", "--net", "--mount", "--uts", f"--wd=/proc/{pid}/cwd", "--", *command]


def base_environment(outside: Mapping[str, str], pod: RunningPod) -> dict[str, str]:
    """What every container finds in its environment: not the runtime's own variables, but for the path."""
    return {
        "PATH": outside.get("PATH", _DEFAULT_PATH),
        "HOME": outside.get("HOME", "/root"),
        "LANG": outside.get("LANG", "C.UTF-8"),
        "HOSTNAME": pod.spec.hostname or pod.name,
    }


def resolver_configuration(namespace: str, domain: str, name_servers: Sequence[str]) -> str:
    """The pod's /etc/resolv.conf."""
    lines = [f"nameserver {address}" for address in name_servers]
    lines += [f"search {namespace}.svc.{domain} svc.{domain} {domain}", "options ndots:5"]
    return "\n".join(lines) + "\n"


def hosts_file(pod: RunningPod) -> str:
    """The pod's /etc/hosts."""
    lines = ["127.0.0.1\tlocalhost", "::1\tlocalhost ip6-localhost ip6-loopback"]
    lines += [f"{address}\t{pod.spec.hostname or pod.name}" for address in pod.addresses]
    return "\n".join(lines) + "\n"
