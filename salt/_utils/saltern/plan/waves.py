"""Group the hosts of a service into waves: hosts that run the same containers of it are done together."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Wave:
    """Hosts that run the same containers of one service. ``serial`` 1: one host after another; 0: all at once."""

    hosts: tuple[str, ...]
    containers: tuple[str, ...]
    serial: int


def waves(containers: Mapping[str, Sequence[str]], serial: Mapping[str, int]) -> list[Wave]:
    """Waves of one service in the order of its containers: where its first one runs comes first.

    containers
        Hosts of each container, in the order of the service.yaml.
    serial
        1 or 0 for each container; one that wants it makes its whole wave serial.
    """
    on_host: dict[str, list[str]] = {}
    for name, hosts in containers.items():
        for host in hosts:
            on_host.setdefault(host, []).append(name)
    groups: dict[tuple[str, ...], list[str]] = {}
    for host, names in on_host.items():
        groups.setdefault(tuple(names), []).append(host)
    return [Wave(tuple(hosts), names, max(serial[name] for name in names)) for names, hosts in groups.items()]
