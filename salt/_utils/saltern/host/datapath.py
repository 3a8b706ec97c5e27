"""Which datapath Open vSwitch uses on this host: the kernel's where there is one, else its own in userspace.

Found out once and kept as a fact. ``auto`` stays with the userspace datapath even when the kernel has learnt better
meanwhile: bridges that change it lose the ports of running instances, so that is for an operator to say
(``openstack:networks:datapath``). The other way round there is no choice.
"""

from __future__ import annotations

import os
import shutil
import socket
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from saltern.contract.errors import SalternError
from saltern.contract.names import HOST_ROOT
from saltern.host import facts

TOPIC, NAME = "openvswitch", "datapath"
KERNEL, USERSPACE, AUTO = "system", "netdev", "auto"
FAMILY, MODULE = "ovs_datapath", "openvswitch"

# NETLINK_GENERIC, GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME
_GENERIC, _CONTROL, _GETFAMILY, _NAME = 16, 0x10, 3, 2
_REQUEST, _ERROR = 1, 2  # NLM_F_REQUEST, NLMSG_ERROR


def known(root: Path | str = HOST_ROOT) -> str | None:
    """What was found before, None when nobody has looked."""
    found = facts.read(TOPIC, NAME, root)
    return str(found["value"]) if found else None


def settle(
    wanted: str,
    root: Path | str = HOST_ROOT,
    *,
    family: Callable[[], bool] | None = None,
    load: Callable[[], str] | None = None,
) -> str:
    """The datapath of this host, written down where it is news.

    wanted
        ``auto``, ``system`` or ``netdev``, as the model says.
    family, load
        Whether the kernel has the datapath now; load its module, and say why that did not work (empty when it did).

    Raises SalternError when the kernel's is wanted and the kernel has none.
    """
    there, load = family or kernel_has_it, load or modprobe
    before = known(root)
    if wanted == USERSPACE:
        value, reason = USERSPACE, "openstack:networks:datapath says so"
    else:
        why = "" if there() else load()
        has = there()
        if wanted == KERNEL and not has:
            raise SalternError(
                f"this kernel has no Open vSwitch ({why or 'no generic netlink family ' + FAMILY})",
                where="openstack:networks:datapath",
                hint=f"Install a kernel with the module {MODULE}, or say netdev (slower, in userspace) or auto",
            )
        if wanted == KERNEL:
            value, reason = KERNEL, "openstack:networks:datapath says so"
        elif has and before == USERSPACE:
            value, reason = (
                USERSPACE,
                "was so before the kernel had one; openstack:networks:datapath: system changes it",
            )
        elif has:
            value, reason = KERNEL, f"the kernel has the generic netlink family {FAMILY}"
        else:
            value, reason = USERSPACE, f"the kernel has no Open vSwitch: {why or 'its module brings none'}"
    fact = facts.read(TOPIC, NAME, root) or {}
    if (fact.get("value"), fact.get("reason")) != (value, reason):
        facts.write(TOPIC, NAME, value, reason, root, kernel=os.uname().release)
    return value


def kernel_has_it(name: str = FAMILY) -> bool:
    """Whether the kernel knows a generic netlink family."""
    attribute = name.encode() + b"\0"
    attribute = struct.pack("=HH", 4 + len(attribute), _NAME) + attribute.ljust(-(-len(attribute) // 4) * 4, b"\0")
    body = struct.pack("=BBH", _GETFAMILY, 1, 0) + attribute
    message = struct.pack("=IHHII", 16 + len(body), _CONTROL, _REQUEST, 1, 0) + body
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _GENERIC) as link:
        link.settimeout(5)
        link.send(message)
        answer = link.recv(65536)
    return int(struct.unpack_from("=IHHII", answer)[1]) != _ERROR


def modprobe(module: str = MODULE) -> str:
    """Load a module; why it could not be, empty when it was."""
    program = shutil.which("modprobe", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if program is None:
        return "there is no modprobe to load its module with"
    try:
        done = subprocess.run([program, module], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return f"modprobe {module}: {error}"
    return "" if done.returncode == 0 else (done.stderr.strip() or f"modprobe {module} failed").splitlines()[-1]
