"""
Configuration of the salt-master and the salt-minion that Saltern needs: ``master.d/openstack.conf`` and
``minion.d/openstack.conf``. The functions whose names start with ``master`` work on the master (in orchestrations and
by ``salt-run salt.cmd``), those that start with ``minion`` on a minion.
"""

import difflib
import fnmatch
import glob
import logging
import os
import pathlib
import shlex
import subprocess
import sys

import salt.config
import salt.utils.yaml
from salt.exceptions import CommandExecutionError

import saltern
from saltern.contract.digests import digest
from saltern.contract.names import MASTER_ROOT
from saltern.host import processes, settings

try:
    import docker

    DOCKER_PY = docker.__version__
except ImportError:
    DOCKER_PY = ""

log = logging.getLogger(__name__)

HEADER = """\
# Written by openstack.setup: change it there or in other files of this directory, not here. Salt lets this file's
# lists hide those of the main configuration file, so they are repeated here: run openstack.setup again when you edit
# them there.
"""


def __virtual__():
    """Always there: it is what finds out what is missing."""
    return "openstack_setup"


def master(test=False):
    """
    Write the master's part and say whether the running master has it.

    test : False
        Only say what would change.

    Returns ``{"path", "changed", "diff", "hidden", "restart"}``: lines of the difference, keys that another file read
    later hides, and why the running salt-master needs a restart (empty: it has all).

    Raises CommandExecutionError when Saltern's checkout is unknown or the file cannot be written.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_setup.master test=True
    """
    path, main, others = _read("master")
    wanted = settings.master(_checkout(), str(__opts__.get("saltern_state_dir") or MASTER_ROOT), main, others)
    answer = _write(path, wanted, test)
    hidden = [] if test else settings.not_in_effect(wanted, salt.config.master_config(__opts__["conf_file"]))
    return {**answer, "hidden": hidden, "restart": _stale(path)}


def master_check():
    """
    What keeps the running master from being Saltern's, as sentences; an empty list is good.

    CLI Example:

    .. code-block:: bash

        salt-run salt.cmd openstack_setup.master_check
    """
    try:
        answer = master(test=True)
    except CommandExecutionError as exc:
        return [str(exc)]
    if answer["changed"]:
        return [f"{answer['path']} is not what openstack.setup writes. Run: salt-run state.orch openstack.setup"]
    return [answer["restart"]] if answer["restart"] else []


def minion(test=False):
    """
    Write the minion's part, and say what else this host lacks.

    test : False
        Only say what would change.

    Returns ``{"path", "changed", "diff", "hidden", "docker_py", "restart"}``; ``docker_py`` is its version or empty.

    Raises CommandExecutionError when the file cannot be written.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_setup.minion test=True
    """
    path, main, others = _read("minion")
    wanted = settings.minion(_code(), main, others)
    answer = _write(path, wanted, test)
    hidden = [] if test else settings.not_in_effect(wanted, salt.config.minion_config(__opts__["conf_file"]))
    has = __opts__.get(settings.DIGEST) == wanted[settings.DIGEST]
    restart = "" if has else f"the running salt-minion does not have {path} yet"
    return {**answer, "hidden": hidden, "docker_py": DOCKER_PY, "install": _installer(), "restart": restart}


def minion_restart():
    """
    Restart this salt-minion, detached: the answer leaves first.

    Uses the minion option ``minion_restart_command`` where it is set, else systemd where it runs this minion, else
    starts the same command line again once the old process is gone. Returns which of them.

    Raises CommandExecutionError when its pid file names no running salt-minion.

    CLI Example:

    .. code-block:: bash

        salt ctl1 openstack_setup.minion_restart
    """
    pid = processes.from_pid_file(__opts__["pidfile"], "salt-minion")
    unit = processes.systemd_unit(pid)
    own = __opts__.get("minion_restart_command")
    if own:
        command, how = " ".join(shlex.quote(word) for word in own), "minion_restart_command"
    elif unit:
        command, how = f"systemctl --no-block restart {shlex.quote(unit)}", "systemd"
    elif pid:
        command, how = processes.restart_script(processes.leader(pid, "salt-minion")), "process"
    else:
        raise CommandExecutionError(f"No salt-minion by the pid file {__opts__['pidfile']}. Restart it by hand")
    subprocess.Popen(
        ["/bin/sh", "-c", f"sleep 1; {command}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
        cwd="/",
    )
    return how


# -- helpers -----------------------------------------------------------------------------------------------------------


def _read(kind):
    """Where our file is, the main file, and what the other included files say."""
    conf_file = __opts__["conf_file"]
    main = _parse(conf_file)
    directory = os.path.dirname(conf_file)
    path = os.path.join(directory, f"{kind}.d", settings.FILE)
    pattern = os.path.join(directory, main.get("default_include", f"{kind}.d/*.conf"))
    if not fnmatch.fnmatch(path, pattern):
        raise CommandExecutionError(f"{conf_file} includes {pattern}, and thus not {path}. Mend default_include")
    others = {}
    for name in glob.glob(pattern):
        if os.path.realpath(name) != os.path.realpath(path):
            others.update(_parse(name))
    return path, main, others


def _parse(path):
    try:
        with open(path, encoding="utf-8") as file:
            return salt.utils.yaml.safe_load(file) or {}
    except FileNotFoundError:
        return {}
    except Exception as exc:
        raise CommandExecutionError(f"{path} cannot be read: {exc}") from exc


def _write(path, wanted, test):
    text = HEADER + salt.utils.yaml.safe_dump(wanted, default_flow_style=False, sort_keys=False)
    try:
        with open(path, encoding="utf-8") as file:
            present = file.read()
    except FileNotFoundError:
        present = ""
    changed = present != text
    if changed and not test:
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(f"{path}.new", "w", encoding="utf-8") as file:
                file.write(text)
            os.replace(f"{path}.new", path)
        except OSError as exc:
            raise CommandExecutionError(f"{path} cannot be written: {exc.strerror}") from exc
    lines = difflib.unified_diff(present.splitlines(), text.splitlines(), lineterm="", n=1)
    return {"path": path, "changed": changed, "diff": list(lines)[2:]}


def _checkout():
    """Saltern's directory: the option, else the directory whose ``salt`` this master loads modules from."""
    known = __opts__.get("saltern_checkout")
    if known:
        return str(known)
    for directory in [*(__opts__.get("module_dirs") or []), *__opts__["file_roots"].get("base", [])]:
        parent = os.path.dirname(os.path.abspath(directory))
        if os.path.basename(os.path.abspath(directory)) == "salt" and os.path.isdir(f"{parent}/states/openstack"):
            return parent
    raise CommandExecutionError("Saltern's checkout is unknown. Set saltern_checkout in the master's configuration")


def _stale(path):
    """Why the running master lacks the present file; empty when it was started after the file was written."""
    pid = processes.from_pid_file(__opts__["pidfile"], "salt-master")
    if not pid:
        return f"salt-master does not run (pid file {__opts__['pidfile']}). Start it: systemctl start salt-master"
    if not os.path.exists(path) or processes.started(pid) < os.path.getmtime(path):
        return f"The running salt-master does not have {path} yet. Run: systemctl restart salt-master"
    return ""


def _code():
    """Digest of what the health engine on this host consists of."""
    library = pathlib.Path(saltern.__path__[0])
    engines = pathlib.Path(__opts__["extension_modules"]) / "engines"
    files = [*engines.glob("openstack_*.py"), *library.glob("host/*.py"), *library.glob("contract/*.py")]
    return digest({f"{file.parent.name}/{file.name}": file.read_text(encoding="utf-8") for file in sorted(files)})


def _installer():
    """The command that puts docker-py into the Python this minion runs on."""
    pip = os.path.join(os.path.dirname(sys.executable), "salt-pip")
    return f"{pip} install docker" if os.path.exists(pip) else f"{sys.executable} -m pip install docker"
