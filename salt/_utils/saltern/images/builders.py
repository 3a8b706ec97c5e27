"""Who carries a build out: the engine of this machine, or (in the adapters) a minion. Both speak plain data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from saltern.contract.errors import BuildFailed, SalternError
from saltern.contract.names import HOST_ROOT
from saltern.host import build as host_build
from saltern.host import build_refresh, inside, registry
from saltern.host import places as host_places
from saltern.host.build import BuildRequest, Report, StepFailed, silent
from saltern.host.build_base import BaseRequest, import_base
from saltern.host.build_settings import Settings, gather
from saltern.host.engine import Engine
from saltern.host.places import Place
from saltern.host.registry import Access
from saltern.images.schedule import PlaceLost


class NoAnswer(SalternError):
    """The builder does not answer."""


class BuilderAway(BuildFailed, PlaceLost):
    """A build failed because its builder does not answer; it gets no more."""


Ask = Callable[[str, dict[str, Any]], Any]


class Builder(Protocol):
    """What a build needs of a builder."""

    def listing(self) -> list[dict[str, Any]]:
        """All images with our label, one call of the engine."""

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        """Build one image; raises BuildFailed."""

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        """Make the distribution's image; raises BuildFailed."""

    def tag(self, image_id: str, reference: str) -> None:
        """Give an image a further name."""

    def outdated(self, images: dict[str, str], asker: str, network: str) -> dict[str, dict[str, str]]:
        """Packages of images (name → reference) that the mirror has newer: image → package → version."""

    def contents(self, reference: str) -> dict[str, Any]:
        """Configuration and packages of an image (`saltern.host.inside.contents`, without its files)."""

    def compared(self, a: str, b: str) -> dict[str, Any]:
        """Two images beside each other (`saltern.host.inside.compared`)."""

    def push(self, references: list[str]) -> dict[str, dict[str, Any]]:
        """Push images: reference → ``{"digest", "layers_pushed"}``; raises SalternError."""

    def pull(self, references: list[str]) -> dict[str, dict[str, Any]]:
        """Pull images: reference → ``{"id", "digest"}``; raises SalternError."""

    def fingerprints(self, paths: list[str]) -> dict[str, str | None]:
        """Path on the builder → digest of its content, None where there is nothing."""


class LocalBuilder:
    """The engine of this machine, without any Salt.

    engine
        The client.
    suite, mirrors, distro
        For the settings that builds get.
    root
        Host state root (its ``locks/``).
    report
        Told ``start``, ``step`` and ``end``.
    access
        How the registry is reached.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        suite: str,
        mirrors: Any = None,
        distro: str = "debian",
        root: Path = HOST_ROOT,
        report: Report = silent,
        access: Access | None = None,
    ) -> None:
        self.engine, self.report, self.access = engine, report, access or Access()
        self._suite, self._mirrors, self._distro, self._locks = suite, mirrors, distro, root / "locks"
        self._settings: Settings | None = None

    @property
    def settings(self) -> Settings:
        """Gathered once, at the first build."""
        if self._settings is None:
            self._settings = gather(self._suite, self._mirrors, distro=self._distro)
        return self._settings

    def listing(self) -> list[dict[str, Any]]:
        return host_build.listing(self.engine)

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = BuildRequest(
            request["image"],
            request["reference"],
            request["labels"],
            Path(request["context"]),
            request["network"],
            smoke=tuple(request.get("smoke", ())),
            shipped=bool(request.get("shipped", False)),
            root=bool(request.get("root", False)),
            setuid=tuple(request.get("setuid", ())),
            places=tuple(Place(**place) for place in request.get("places", ())),
        )
        # a client of its own: each build reads a connection of its own to the end
        with Engine(self.engine.url) as engine:
            return host_build.build(engine, wanted, self.settings, locks=self._locks, report=self.report).as_dict()

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        wanted = BaseRequest(
            request["image"], request["reference"], request["labels"], request["suite"], tuple(request["packages"])
        )
        with Engine(self.engine.url, timeout=600) as engine:
            return import_base(engine, wanted, self.settings, locks=self._locks, report=self.report).as_dict()

    def tag(self, image_id: str, reference: str) -> None:
        host_build.tag(self.engine, image_id, reference)

    def outdated(self, images: dict[str, str], asker: str, network: str) -> dict[str, dict[str, str]]:
        return build_refresh.outdated(self.engine, images, asker, self.settings, network=network)

    def contents(self, reference: str) -> dict[str, Any]:
        return inside.contents(self.engine, reference, files=False)

    def compared(self, a: str, b: str) -> dict[str, Any]:
        return inside.compared(self.engine, a, b)

    def push(self, references: list[str]) -> dict[str, dict[str, Any]]:
        registry.trust(self.access)
        return {each: registry.push(self.engine, each, self.access) for each in references}

    def pull(self, references: list[str]) -> dict[str, dict[str, Any]]:
        registry.trust(self.access)
        return {each: registry.pull(self.engine, each, self.access, locks=self._locks) for each in references}

    def fingerprints(self, paths: list[str]) -> dict[str, str | None]:
        return host_places.fingerprints(paths)


class MinionBuilder:
    """A minion's ``openstack_image`` module.

    ask
        ``ask(function, keyword arguments)`` → what the function returned; raises SalternError when the minion does
        not answer or the function failed. Called from several threads.
    suite, mirrors, distro
        Handed to the minion; what is absent it takes from its own configuration.
    model
        Digest of the compiled model whose credentials for the registry count; None = that of the minion's pillar.
    """

    def __init__(
        self, ask: Ask, *, suite: str, mirrors: Any = None, distro: str = "debian", model: str | None = None
    ) -> None:
        self._model = model
        self._ask, self._where = ask, {"suite": suite, "mirrors": dict(mirrors or {}), "distro": distro}

    def listing(self) -> list[dict[str, Any]]:
        return list(self._ask("openstack_image.list", {}))

    def build(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._made("openstack_image.build", request)

    def import_base(self, request: dict[str, Any]) -> dict[str, Any]:
        return self._made("openstack_image.import_base", request)

    def tag(self, image_id: str, reference: str) -> None:
        self._ask("openstack_image.tag", {"image_id": image_id, "reference": reference})

    def outdated(self, images: dict[str, str], asker: str, network: str) -> dict[str, dict[str, str]]:
        arguments = {"images": images, "asker": asker, "network": network, **self._where}
        return dict(self._ask("openstack_image.outdated", arguments))

    def contents(self, reference: str) -> dict[str, Any]:
        return dict(self._ask("openstack_image.contents", {"reference": reference}))

    def compared(self, a: str, b: str) -> dict[str, Any]:
        return dict(self._ask("openstack_image.compared", {"a": a, "b": b}))

    def push(self, references: list[str]) -> dict[str, dict[str, Any]]:
        return self._moved("openstack_image.push", references)

    def pull(self, references: list[str]) -> dict[str, dict[str, Any]]:
        return self._moved("openstack_image.pull", references)

    def _moved(self, function: str, references: list[str]) -> dict[str, dict[str, Any]]:
        try:
            return dict(self._ask(function, {"references": references, "model": self._model}))
        except NoAnswer as error:
            raise BuilderAway(error.message, where=error.where, hint=error.hint) from error
        except SalternError as error:
            for reference in references:  # it stands before the message, and beside it in the table
                error.message = error.message.removeprefix(f"{reference}: ")
            raise

    def fingerprints(self, paths: list[str]) -> dict[str, str | None]:
        return dict(self._ask("openstack_image.fingerprints", {"paths": paths}))

    def _made(self, function: str, request: dict[str, Any]) -> dict[str, Any]:
        try:
            answer = self._ask(function, request)
        except SalternError as error:
            failed = BuilderAway if isinstance(error, NoAnswer) else BuildFailed
            raise failed(error.message, where=error.where or request["image"], hint=error.hint) from error
        if answer.get("result") == "built":
            return dict(answer)
        failure = StepFailed(
            str(answer.get("error")),
            where=str(answer.get("where", "")),
            step=str(answer.get("step", "")),
            log=list(answer.get("log") or []),
        )
        failure.hint = str(answer.get("hint", ""))
        raise failure
