#!/usr/bin/python3 -I
"""What has to happen before mariadbd starts as a member of a Galera cluster; prints the arguments to add.

Four things, each with a reason that cost somebody data or hours:

- an empty data directory is filled only by the member that may found the cluster; any other gets it from a donor;
- accounts of saltern.sql are applied, without the cluster's knowledge, whenever that file has changed;
- the position is recovered from InnoDB's own log, else each crash costs a full state transfer;
- a new primary component is founded by a cluster of one member only, or when KOLLA_BOOTSTRAP asks for it (once, in a
  container that does not stay). Two clusters are worse than none: in doubt it waits for the others or refuses.

Standard library of python3-minimal only.
"""

import hashlib
import os
import re
import subprocess
import sys
from dataclasses import dataclass

MEMBERS = "saltern-members"  # in the data directory: the members that the configuration named at the last start
ACCOUNTS = "saltern-accounts"  # in the data directory: digest of the saltern.sql that was applied
INSTALLING = "saltern-installing"  # in the data directory: the first installation has not been completed
SQL = "/etc/mysql/saltern.sql"
PEER_TIMEOUT = 3


class Refused(Exception):
    """This member must not start; the text says why and what helps."""


@dataclass(frozen=True)
class Evidence:
    """What is known before the start.

    members
        Addresses that the configuration names.
    me
        This member's own.
    empty
        The data directory holds no database.
    last
        Members at the last start, None where unknown.
    view
        Number of members in gvwstate.dat, 0 = no such file.
    safe
        grastate.dat says that this member left last, cleanly.
    primary
        A peer answered SQL and is part of a primary component.
    asked
        KOLLA_BOOTSTRAP is set.
    """

    members: tuple[str, ...]
    me: str
    empty: bool
    last: tuple[str, ...] | None = None
    view: int = 0
    safe: bool = False
    primary: bool = False
    asked: bool = False


@dataclass(frozen=True)
class Decision:
    """How to start: found a new cluster, fill the directory first, forget the last view; and why."""

    found: bool
    install: bool
    forget_view: bool
    why: str


def decide(e: Evidence) -> Decision:
    """The start of one member. Raises Refused where starting could make a second cluster or serve old data."""
    if e.primary:
        # With the view kept, a member that is back within a second can take the survivors out of their component.
        return Decision(False, False, True, "a peer is in a primary component: join it")
    if e.asked:
        return Decision(True, e.empty, True, "KOLLA_BOOTSTRAP: found a new cluster")
    if e.empty:
        if e.members == (e.me,):
            return Decision(True, True, True, "first start of a cluster of one")
        return Decision(False, False, True, "no data: wait for a donor (a cluster begins with one member, then grows)")
    if e.last == (e.me,):
        return Decision(True, False, True, "the only member so far: nobody else can have newer data")
    if e.members == (e.me,):
        if e.safe or e.view == 1:
            return Decision(True, False, True, "the last member that was left")
        raise Refused(
            "this member belonged to a cluster of several and did not leave it last: others may hold newer data. "
            "If they are lost for good, set safe_to_bootstrap: 1 in grastate.dat of the data volume"
        )
    # All members of the last view find each other again by it; a new primary component is never a single one's choice.
    return Decision(False, False, False, "member of several: wait for the others of the last view")


def setting(text: str, key: str, default: str = "") -> str:
    """A value of the [mysqld] options; the last one counts, dashes and underscores are the same."""
    wanted = key.replace("-", "_")
    found = default
    for line in text.splitlines():
        name, separator, value = line.partition("=")
        if separator and name.strip().replace("-", "_") == wanted:
            found = value.strip().strip("\"'")
    return found


def members_of(address: str) -> tuple[str, ...]:
    """Hosts of a gcomm:// address, without ports and options."""
    hosts = address.removeprefix("gcomm://").partition("?")[0].split(",")
    return tuple(host.strip().rsplit(":", 1)[0] for host in hosts if host.strip())


def view_size(text: str) -> int:
    """Number of members in a gvwstate.dat."""
    return len(re.findall(r"^member:", text, re.M))


def is_safe(grastate: str) -> bool:
    return re.search(r"^safe_to_bootstrap:\s*1\s*$", grastate, re.M) is not None


def made_safe(grastate: str) -> str:
    return re.sub(r"^safe_to_bootstrap:.*$", "safe_to_bootstrap: 1", grastate, flags=re.M)


def position(log: str) -> str:
    """The last recovered position in what --wsrep-recover wrote, empty when there is none."""
    found = re.findall(r"WSREP: Recovered position:\s*(\S+)", log)
    return found[-1] if found else ""


def peer_is_primary(address: str, port: str) -> bool:
    """Ask a peer by SQL; an open port proves nothing, since a member listens before it is part of anything."""
    question = "SHOW STATUS LIKE 'wsrep_cluster_status'"
    argv = ["mariadb", "--no-defaults", "--skip-ssl", "-u", "haproxy", "-h", address, "-P", port]
    argv += [f"--connect-timeout={PEER_TIMEOUT}", "-NB", "-e", question]
    try:
        answer = subprocess.run(argv, capture_output=True, text=True, timeout=2 * PEER_TIMEOUT)
    except subprocess.TimeoutExpired:
        return False
    return answer.returncode == 0 and "Primary" in answer.stdout.split()


def read(path: str) -> str:
    try:
        with open(path) as file:
            return file.read()
    except FileNotFoundError:
        return ""


def write(path: str, text: str) -> None:
    """Replace a file in one step: the machine may die in the middle."""
    with open(f"{path}.new", "w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(f"{path}.new", path)


def gather(config: str, data: str) -> Evidence:
    """Evidence from the configuration, the data directory and the peers."""
    members = members_of(setting(config, "wsrep_cluster_address"))
    me, port = setting(config, "wsrep_node_address"), setting(config, "port", "3306")
    last = tuple(read(os.path.join(data, MEMBERS)).split())
    return Evidence(
        members=members,
        me=me,
        empty=not os.path.isdir(os.path.join(data, "mysql")) or os.path.exists(os.path.join(data, INSTALLING)),
        last=last or None,
        view=view_size(read(os.path.join(data, "gvwstate.dat"))),
        safe=is_safe(read(os.path.join(data, "grastate.dat"))),
        primary=any(peer_is_primary(peer, port) for peer in members if peer != me),
        asked="KOLLA_BOOTSTRAP" in os.environ,
    )


def install(cnf: str, data: str) -> None:
    """Fill an empty data directory; root and mysql log in by the socket, as the operating system's user mysql."""
    marker = os.path.join(data, INSTALLING)
    if os.path.exists(marker):  # a former one was killed before anybody could log in: nothing of it is worth keeping
        leftovers = [os.path.join(data, name) for name in os.listdir(data) if name != INSTALLING]
        subprocess.run(["rm", "-rf", "--", *leftovers], check=True)
    write(marker, "")
    argv = ["mariadb-install-db", f"--defaults-file={cnf}", "--auth-root-authentication-method=socket"]
    argv += ["--auth-root-socket-user=mysql", "--skip-test-db", "--wsrep-on=OFF"]
    subprocess.run(argv, check=True, stdout=sys.stderr)


def apply_accounts(cnf: str, data: str) -> None:
    """Apply saltern.sql when it has changed: on stdin, so no password is an argument or reaches a log."""
    sql = read(SQL)
    digest = hashlib.sha256(sql.encode()).hexdigest()
    if not sql or read(os.path.join(data, ACCOUNTS)) == digest:
        return
    # One statement a line: that is how --bootstrap reads them.
    lines = "\n".join(line for line in sql.splitlines() if line.strip() and not line.startswith("--"))
    argv = ["mariadbd", f"--defaults-file={cnf}", "--bootstrap", "--wsrep-on=OFF", "--skip-networking"]
    done = subprocess.run(argv, input=lines + "\n", text=True, capture_output=True)
    if done.returncode:
        problem = [line for line in done.stderr.splitlines() if "[ERROR]" in line or line.startswith("ERROR")]
        raise Refused(
            "the accounts of saltern.sql could not be applied: "
            + "; ".join(without_statement(line) for line in problem[-3:])
        )
    write(os.path.join(data, ACCOUNTS), digest)


def without_statement(line: str) -> str:
    """An error may quote the statement, which may hold a password: only what stands before any quote leaves."""
    return line.partition("'")[0].rstrip()


def recover(cnf: str) -> str:
    """The position of this member's data, empty when it has none."""
    argv = ["mariadbd", f"--defaults-file={cnf}", "--wsrep-recover", "--log-error=/dev/stderr"]
    return position(subprocess.run(argv, text=True, capture_output=True).stderr)


def prepare(cnf: str) -> list[str]:
    """Bring the data directory into the state to start from; the arguments to add."""
    config = read(cnf)
    data = setting(config, "datadir", "/var/lib/mysql")
    evidence = gather(config, data)
    decision = decide(evidence)
    say(decision.why)
    if decision.install:
        install(cnf, data)
    if not evidence.empty or decision.install:
        apply_accounts(cnf, data)
    if decision.install:
        os.unlink(os.path.join(data, INSTALLING))
    if decision.forget_view and os.path.exists(os.path.join(data, "gvwstate.dat")):
        os.unlink(os.path.join(data, "gvwstate.dat"))
    arguments = []
    if not evidence.empty and (where := recover(cnf)):
        arguments.append(f"--wsrep_start_position={where}")
    if decision.found:
        grastate = os.path.join(data, "grastate.dat")
        if os.path.exists(grastate):
            write(grastate, made_safe(read(grastate)))
        arguments.append("--wsrep-new-cluster")
    write(os.path.join(data, MEMBERS), "\n".join(evidence.members) + "\n")
    return arguments


def say(text: str) -> None:
    print(f"saltern-galera-start: {text}", file=sys.stderr, flush=True)


def main(argv: list[str]) -> int:
    try:
        print(" ".join(prepare(argv[1])))
    except Refused as error:
        say(f"refused: {error}")
        return 1
    except subprocess.CalledProcessError as error:
        say(f"{error.cmd[0]} ended with {error.returncode}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv))
