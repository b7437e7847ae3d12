"""Removal of the iptables rules that a node leaves behind."""

from __future__ import annotations

import shlex
import subprocess

from tests.e2e.debian import run

TABLES = ("filter", "nat", "mangle")


def undo(saved: str, network: str) -> list[str]:
    """Return the lines for iptables-restore that remove a node's chains and the jumps to them.

    Args:
        saved: a table as iptables-save prints it.
        network: name of the pod network, which the rules of its plug-ins carry in a comment.
    """
    lines = saved.splitlines()
    chains = {line[1:].split()[0] for line in lines if line.startswith(":")}
    rules = [line for line in lines if line.startswith("-A ")]
    named = {shlex.split(rule)[1] for rule in rules if f'name: \\"{network}\\"' in rule}
    ours = {chain for chain in chains if chain.startswith("KUBE-")}
    ours |= {chain for chain in named if chain.startswith("CNI-")}
    jumps = [
        rule.replace("-A ", "-D ", 1)
        for rule in rules
        if shlex.split(rule)[1] not in ours and ours & set(shlex.split(rule))
    ]
    return [*jumps, *(f"-F {chain}" for chain in ours), *(f"-X {chain}" for chain in ours)]


def remove(network: str) -> None:
    """Remove the rules of kube-proxy, the kubelet and the plug-ins of a pod network."""
    for table in TABLES:
        lines = undo(run("iptables-save", "-t", table, check=False), network)
        if lines:
            text = "\n".join([f"*{table}", *lines, "COMMIT", ""])
            command = ["iptables-restore", "--noflush"]
            subprocess.run(command, input=text, text=True, timeout=30, check=False)
