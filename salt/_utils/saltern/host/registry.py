"""Push to and pull from a registry, by name and by digest of the manifest.

The engine does the transfer; here is what it leaves open: credentials that reach this host in its slice go to the one
registry they belong to, the registry's certificate authority is where the engine looks for it, a failure that goes
away by itself is tried again and any other is told in one sentence with what to do. Names without a registry are never
asked for: the engine would ask a public one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from saltern.contract.errors import EngineRefused, ImageMissing, SalternError
from saltern.contract.names import registry_of
from saltern.host.engine import Engine
from saltern.host.imagelock import making
from saltern.host.store import write_bytes

CERTIFICATES = Path("/etc/docker/certs.d")  # the engine reads it at each request
TRIES = 3

T = TypeVar("T")
Report = Callable[[dict[str, Any]], None]


class TransferFailed(SalternError):
    """A push, pull or load failed; ``transient`` when it may go well at the next try."""

    def __init__(self, message: str, *, where: str = "", hint: str = "", transient: bool = False) -> None:
        self.transient = transient
        super().__init__(message, where=where, hint=hint)


@dataclass(frozen=True)
class Access:
    """How this host reaches the registry.

    address
        ``host[:port][/path]``; empty where the model names none.
    username, password
        None: the engine's own docker login on this host is used.
    ca
        PEM text of the authority that signed the registry's certificate; None = the system's authorities.
    """

    address: str = ""
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca: str | None = None

    @property
    def host(self) -> str:
        """``host[:port]``."""
        return self.address.partition("/")[0]

    def login(self, reference: str) -> dict[str, str] | None:
        """What docker-py sends along for an image; None for another registry's: it must not see the password."""
        if not self.username or registry_of(reference) != self.host:
            return None
        return {"username": self.username, "password": self.password or "", "serveraddress": self.host}


def access_from(slice_: Mapping[str, Any]) -> Access:
    """Out of a host's slice (docs/interfaces.md, section 3); an empty slice gives an empty access."""
    given = slice_.get("registry") or {}
    return Access(**{key: given[key] for key in ("address", "username", "password", "ca") if given.get(key)})


def split(reference: str) -> tuple[str, str]:
    """Repository and tag.

    >>> split("registry.local:5000/saltern/keystone:2025.2")
    ('registry.local:5000/saltern/keystone', '2025.2')
    """
    repository, colon, tag = reference.rpartition(":")
    return (repository, tag) if colon and "/" not in tag else (reference, "latest")


def trust(access: Access, directory: Path = CERTIFICATES) -> bool:
    """Put the registry's authority where the engine of this host looks for it; whether that changed anything.

    Raises SalternError when the disk does not take it. One that the pillar no longer names stays.
    """
    if not access.ca or not access.host:
        return False
    path, content = directory / access.host / "ca.crt", access.ca.strip().encode() + b"\n"
    try:
        if path.read_bytes() == content:
            return False
    except OSError:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o755)
    write_bytes(path, content, mode=0o644)
    return True


@dataclass
class Layers:
    """What the stream of a transfer has told of an image's layers."""

    done: set[str] = field(default_factory=set)
    sent: set[str] = field(default_factory=set)
    current: dict[str, int] = field(default_factory=dict)
    total: dict[str, int] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    digest: str = ""

    def feed(self, message: Mapping[str, Any]) -> None:
        """Take one message. Raises TransferFailed for the one that ends a transfer."""
        if message.get("error") or message.get("errorDetail"):
            raise failed(str((message.get("errorDetail") or {}).get("message") or message.get("error")))
        status, layer = str(message.get("status") or ""), str(message.get("id") or "")
        self.digest = str((message.get("aux") or {}).get("Digest") or "") or self.digest
        if status.startswith("Digest: "):
            self.digest = status[len("Digest: ") :]
        if not layer or status.startswith("Pulling from"):
            return
        self.known.add(layer)
        progress = message.get("progressDetail") or {}
        if status in ("Downloading", "Pushing") and progress.get("current"):
            self.current[layer] = int(progress["current"])
            self.total[layer] = max(int(progress.get("total") or 0), self.current[layer])
        elif status == "Download complete":
            self.current[layer] = self.total.get(layer, 0)
        elif status in ("Pull complete", "Already exists", "Pushed", "Layer already exists") or "Mounted" in status:
            self.done.add(layer)
            self.current[layer] = self.total.get(layer, 0)
            if status == "Pushed":
                self.sent.add(layer)

    def as_dict(self) -> dict[str, int]:
        """``{"layers", "done", "bytes", "of"}``; ``of`` grows as the engine learns of the layers' sizes."""
        return {
            "layers": len(self.known),
            "done": len(self.done),
            "bytes": sum(self.current.values()),
            "of": sum(self.total.values()),
        }


def push(
    engine: Engine,
    reference: str,
    access: Access,
    *,
    report: Report | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Push one image: ``{"digest": of its manifest, "layers_pushed": number}``.

    engine
        The engine that has it.
    reference
        Its name, which names the registry.
    access
        How the registry is reached.
    report
        Told ``Layers.as_dict()`` with each message.
    sleep
        Waits between tries.

    Raises TransferFailed, ImageMissing when the image is not here, EngineUnavailable.
    """
    _named(reference)
    if engine.inspect_image(reference) is None:
        raise ImageMissing("not on this host", where=reference, hint="Build it: salt-run openstack.build")
    _, tag = split(reference)

    def once() -> dict[str, Any]:
        layers = _transfer(engine, "push", reference, tag, access, report)
        return {"digest": layers.digest, "layers_pushed": len(layers.sent)}

    return patiently(once, sleep=sleep)


def pull(
    engine: Engine,
    reference: str,
    access: Access,
    *,
    locks: Path,
    digest: str | None = None,
    expected: str | None = None,
    report: Report | None = None,
    sleep: Callable[[float], None] = time.sleep,
) -> dict[str, Any]:
    """Pull one image and give it its name: ``{"id", "digest"}``.

    engine, reference, access, report, sleep
        As for :func:`push`.
    locks
        The host's directory of locks.
    digest
        Of the manifest: this very image is pulled, whatever the tag means in the registry by now.
    expected
        Id that the image must have.

    Raises TransferFailed, EngineUnavailable.
    """
    _named(reference)
    repository, tag = split(reference)

    def once() -> dict[str, Any]:
        layers = _transfer(engine, "pull", reference, digest or tag, access, report)
        pulled = f"{repository}@{digest}" if digest else reference
        found = engine.inspect_image(pulled)
        if found is None:
            raise TransferFailed("the engine has pulled it and does not have it", where=reference, transient=True)
        if expected and found["Id"] != expected:
            raise TransferFailed(
                "the registry has another image under this name than was built last",
                where=reference,
                hint="Push it: salt-run openstack.build push=True",
            )
        if digest:
            engine.call(f"tag {reference}", lambda api: api.tag(pulled, repository, tag, force=True))
        return {"id": str(found["Id"]), "digest": layers.digest or digest or ""}

    with making(locks):
        return patiently(once, sleep=sleep)


def patiently(work: Callable[[], T], *, sleep: Callable[[float], None], first: float = 2.0) -> T:
    """Call ``work``, again after a pause that doubles while it fails for a cause that may pass.

    work
        Raises TransferFailed.
    sleep
        Waits.
    first
        Seconds before the second try.
    """
    for number in range(1, TRIES):
        try:
            return work()
        except TransferFailed as error:
            if not error.transient:
                raise
        sleep(first * 2 ** (number - 1))
    return work()


def _named(reference: str) -> None:
    if not registry_of(reference):
        raise TransferFailed(
            "its name has no registry",
            where=reference,
            hint="Set openstack:images:registry; without one use openstack.images_export and images_import",
        )


def _transfer(engine: Engine, verb: str, reference: str, tag: str, access: Access, report: Report | None) -> Layers:
    """Push or pull and read what the engine tells, to its end."""
    layers, repository = Layers(), split(reference)[0]

    def read(api: Any) -> None:
        login = access.login(reference)
        for message in getattr(api, verb)(repository, tag=tag, stream=True, decode=True, auth_config=login):
            layers.feed(message)
            if report is not None:
                report(layers.as_dict())

    try:
        engine.call(f"{verb} {reference}", read)
    except TransferFailed as error:
        error.where = reference
        raise
    except (EngineRefused, ImageMissing) as error:
        translated = failed(error.message)
        translated.where = reference
        raise translated from error
    return layers


# What engines and registries say → what it means and what to do. The first that fits counts.
_LASTING = (
    (
        r"unauthorized|authentication required|no basic auth|access .*denied|denied:|incorrect username",
        "the registry refuses the user name or password",
        "Check openstack:images:registry_username and the secret registry_password, or docker login on this host",
    ),
    (
        r"x509|certificate|tls: (bad|failed|handshake failure)",
        "the registry's certificate is not trusted",
        "Set openstack:images:registry_ca to the authority that signed it",
    ),
    (
        r"http response to https client",
        "the registry does not speak TLS",
        "Give it a certificate, or allow it in the engine's insecure-registries",
    ),
    (
        r"manifest unknown|manifest for .* not found|not found: manifest|name unknown|repository .* not (found|known)",
        "the registry does not have it",
        "Push it: salt-run openstack.build push=True",
    ),
    (r"no such host", "the registry's name means no host", "Mend openstack:images:registry, or this host's resolver"),
    (r"no space left", "the disk is full", "Free space: salt-run openstack.images_prune"),
)
_TRANSIENT = re.compile(
    r"""(?ix) connection\ (refused|reset|timed\ out) | timeout | timed\ out | temporary\ failure | try\ again
    | deadline\ exceeded | \bEOF\b | broken\ pipe | (status|code|error|http)[^0-9\n]{0,20}(429|500|502|503|504)\b
    | too\ many\ requests | service\ unavailable | bad\ gateway | no\ route\ to\ host | request\ canceled"""
)


def failed(text: str) -> TransferFailed:
    """The error for what an engine said."""
    for pattern, message, hint in _LASTING:
        if re.search(pattern, text, re.IGNORECASE):
            return TransferFailed(f"{message} ({_short(text)})", hint=hint)
    if _TRANSIENT.search(text):
        return TransferFailed(f"the registry does not answer ({_short(text)})", hint="Is it running?", transient=True)
    return TransferFailed(_short(text))


def _short(text: str) -> str:
    return " ".join(text.split())[:300]
