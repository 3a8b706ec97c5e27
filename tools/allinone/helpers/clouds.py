"""Writes clouds.yaml of the cloud "saltern" and prints its endpoints as JSON. Runs in the virtual environment (YAML).

Usage: clouds.py STATE_ROOT PILLAR_FOLDER TARGET

The file is 0600 from its first byte; its text changes only when the endpoint, the region or the password do.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import yaml

PASSWORD = "keystone_admin_password"


def document(plan: dict[str, Any], secrets: dict[str, Any]) -> dict[str, Any]:
    """What clouds.yaml says. Raises KeyError when the plan has no Keystone or the secrets no password."""
    return {
        "clouds": {
            "saltern": {
                "auth": {
                    "auth_url": plan["endpoints"]["keystone"],
                    "username": "admin",
                    "password": secrets[PASSWORD],
                    "project_name": "admin",
                    "user_domain_name": "Default",
                    "project_domain_name": "Default",
                },
                "region_name": plan.get("region", "RegionOne"),
                "identity_api_version": 3,
            }
        }
    }


def secrets_of(folder: Path) -> dict[str, Any]:
    """Secrets in the operator's plain files; one that only Salt's renderers can read (gpg, vault) is not among them."""
    found: dict[str, Any] = {}
    for path in sorted(folder.rglob("*.sls")):
        try:
            tree = yaml.safe_load(path.read_text())
        except yaml.YAMLError:
            continue
        found.update(((tree or {}).get("openstack") or {}).get("secrets") or {})
    return found


def write(path: Path, text: str) -> None:
    """Replace a private file."""
    temporary = path.with_name(f".{path.name}.new")
    temporary.unlink(missing_ok=True)
    with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    os.replace(temporary, path)


def main(arguments: list[str]) -> int:
    """See the module."""
    state, folder, target = map(Path, arguments)
    plan = json.loads((state / "compiled" / "current" / "plan.json").read_text())
    try:
        made = document(plan, secrets_of(folder))
    except KeyError as missing:
        print(f"no {missing.args[0]} in the model: no clouds.yaml", file=sys.stderr)
        return 3
    write(target, "# Written by ./saltern up.\n" + yaml.safe_dump(made, sort_keys=False))
    print(json.dumps({"endpoints": plan["endpoints"], "release": plan.get("release", "")}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
