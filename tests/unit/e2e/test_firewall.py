"""Only what a node of the tests added to iptables is removed."""

from __future__ import annotations

from tests.e2e.firewall import undo

SAVED = r"""*nat
:PREROUTING ACCEPT [0:0]
:DOCKER - [0:0]
:CNI-ours - [0:0]
:CNI-theirs - [0:0]
:KUBE-SERVICES - [0:0]
-A PREROUTING -j KUBE-SERVICES
-A PREROUTING -j DOCKER
-A PREROUTING -s 10.244.0.2/32 -m comment --comment "name: \"mgw\" id: \"1\"" -j CNI-ours
-A PREROUTING -s 10.1.0.2/32 -m comment --comment "name: \"other\" id: \"2\"" -j CNI-theirs
-A CNI-ours -d 10.244.0.0/24 -m comment --comment "name: \"mgw\" id: \"1\"" -j ACCEPT
-A CNI-theirs -d 10.1.0.0/24 -m comment --comment "name: \"other\" id: \"2\"" -j ACCEPT
-A KUBE-SERVICES -j ACCEPT
COMMIT
"""


def test_chains_of_ours_go_with_the_jumps_to_them() -> None:
    lines = undo(SAVED, "mgw")
    [jump] = [line for line in SAVED.splitlines() if line.endswith("-j CNI-ours")]
    assert lines[:2] == ["-D PREROUTING -j KUBE-SERVICES", f"-D{jump[2:]}"]
    assert sorted(lines[2:4]) == ["-F CNI-ours", "-F KUBE-SERVICES"]
    assert sorted(lines[4:]) == ["-X CNI-ours", "-X KUBE-SERVICES"]


def test_nothing_of_ours_is_nothing_to_do() -> None:
    assert undo("*nat\n:PREROUTING ACCEPT [0:0]\n-A PREROUTING -j DOCKER\nCOMMIT\n", "mgw") == []
