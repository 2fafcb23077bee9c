"""Ports that tests draw for their servers."""

import subprocess
import sys

from stack import ports
from stack.program import ROOT


def test_a_port_is_given_once() -> None:
    drawn = [port for _ in range(50) for port in ports.free_ports(4)]

    assert len(set(drawn)) == len(drawn)


def test_a_port_of_a_living_process_is_not_given_to_another() -> None:
    mine = ports.free_port()
    reserve = f"from stack import ports; print(ports._reserve({mine}), ports._reserve({mine + 12_000}))"
    other = subprocess.run([sys.executable, "-c", reserve], cwd=ROOT, capture_output=True, text=True, check=True)

    assert other.stdout.split() == ["False", "True"]
