"""The few OpenStack calls that tests make, with the standard library, through the load balancer as any client."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from typing import Any


class OpenStack:
    """A logged-in user. Raises urllib.error.URLError where nothing answers."""

    def __init__(self, address: str, password: str, *, user: str = "admin", project: str = "admin") -> None:
        self.address = address
        self.token = ""
        self._login(user, password, project)

    def _login(self, user: str, password: str, project: str) -> None:
        domain = {"id": "default"}
        identity = {
            "methods": ["password"],
            "password": {"user": {"name": user, "domain": domain, "password": password}},
        }
        body = {"auth": {"identity": identity, "scope": {"project": {"name": project, "domain": domain}}}}
        _, headers, answer = self.call("POST", 5000, "/v3/auth/tokens", body)
        self.token = headers["x-subject-token"]
        self.catalog: list[dict[str, Any]] = answer["token"]["catalog"]

    def call(
        self,
        method: str,
        port: int,
        path: str,
        body: Any = None,
        *,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, str], Any]:
        """Status, headers, decoded answer (bytes when it is no JSON). Raises urllib.error.HTTPError from 400 on."""
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        own = {"Content-Type": kind, **({"X-Auth-Token": self.token} if self.token else {}), **(headers or {})}
        url = f"http://{self.address}:{port}{path}"
        request = urllib.request.Request(url, data=data, method=method, headers=own)
        with urllib.request.urlopen(request, timeout=30) as answer:
            raw = answer.read()
            is_json = "json" in answer.headers.get("Content-Type", "")
            return (
                answer.status,
                {name.lower(): value for name, value in answer.headers.items()},
                json.loads(raw) if is_json and raw else raw,
            )

    def names(self, what: str) -> list[str]:
        """Sorted names of Keystone's ``users``, ``projects``, ``roles``, ``services``; URLs of ``endpoints``."""
        _, _, answer = self.call("GET", 5000, f"/v3/{what}")
        key = "url" if what == "endpoints" else "name"
        return sorted(f"{item.get('interface', '')} {item[key]}".strip() for item in answer[what])

    def upload(self, name: str, content: bytes) -> str:
        """A new image with this content; returns its id."""
        _, _, image = self.call(
            "POST", 9292, "/v2/images", {"name": name, "disk_format": "raw", "container_format": "bare"}
        )
        self.call("PUT", 9292, f"/v2/images/{image['id']}/file", content, kind="application/octet-stream")
        return str(image["id"])

    def download(self, image: str) -> bytes:
        _, _, content = self.call("GET", 9292, f"/v2/images/{image}/file")
        return bytes(content)

    def delete_image(self, image: str) -> None:
        self.call("DELETE", 9292, f"/v2/images/{image}")


def login(address: str, password: str, patience: float = 20) -> OpenStack:
    """Log in; a load balancer needs a few checks until it takes a backend that is back, hence ``patience`` seconds."""
    deadline = time.monotonic() + patience
    while True:
        try:
            return OpenStack(address, password)
        except urllib.error.URLError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.5)
