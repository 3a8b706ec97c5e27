"""Config files of one container: template, then the operator's overrides in their stated order, then text.

The order (later wins, per key): the service's template, ``openstack:config:global``, ``:services:<service>``,
``:containers:<container>``, ``openstack:hosts:<id>:config``. Who set each key is remembered for ``explain``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from saltern.contract.masking import MASK, mask
from saltern.model import ini
from saltern.model.cloud import Cloud, Host
from saltern.model.problems import sensitive
from saltern.model.sources import Path
from saltern.model.templating import Scope, TemplateFault

GLOBAL: Path = ("openstack", "config", "global")
CACHE_LIMIT = 4096


@dataclass(frozen=True)
class Layer:
    """One place in the pillar that overrides keys of a file."""

    rank: int  # the higher one wins
    path: Path  # of the file's mapping in the operator's tree
    values: Mapping[str, Mapping[str, Any]]

    @property
    def who(self) -> str:
        """The place as operators write it, without the file's name."""
        return ":".join(self.path[:-1])


def layers(cloud: Cloud, service: str, container: str, instance: str, host: Host, file: str) -> Iterator[Layer]:
    """The overrides of one file of one container on one host, weakest first."""
    config = cloud.config
    places: list[tuple[Path, Any]] = [
        (GLOBAL, config["global"]),
        (("openstack", "config", "services", service), config["services"].get(service)),
        (("openstack", "config", "containers", container), config["containers"].get(container)),
    ]
    if instance != container:
        places.append((("openstack", "config", "containers", instance), config["containers"].get(instance)))
    places.append((("openstack", "hosts", host.id, "config"), host.config))
    for rank, (path, files) in enumerate(places, 1):
        values = (files or {}).get(file)
        if values:
            yield Layer(rank, (*path, file), values)


Setting = tuple[int, str, str, str]  # rank (weakest first), value, who, where


@dataclass
class Origins:
    """Who set each key: file -> container -> ``section.key`` -> settings, weakest first, with the hosts each is for."""

    files: dict[str, dict[str, dict[str, dict[Setting, list[str]]]]] = field(default_factory=dict)
    muted: bool = False  # while a job is rendered: its files are its container's

    def note(self, file: str, container: str, key: str, setting: Setting, host: str) -> None:
        if self.muted:
            return
        keys = self.files.setdefault(file, {}).setdefault(container, {})
        keys.setdefault(key, {}).setdefault(setting, []).append(host)

    def as_dict(self, members: Mapping[str, int], secrets: Iterable[str]) -> dict[str, Any]:
        """JSON-able form. ``hosts`` is null where a setting holds on all of the container's hosts.

        members
            Number of hosts of each container.
        secrets
            Every secret value; masked wherever it occurs.
        """
        known = sorted(secrets)

        @cache
        def masked(value: str) -> str:
            return mask(value, known)

        return {
            file: {
                container: {
                    key: [
                        {
                            "value": masked(v),
                            "who": who,
                            "where": where,
                            "hosts": None if len(hosts) == members.get(container) else hosts,
                        }
                        for (_, v, who, where), hosts in sorted(settings.items(), key=lambda item: item[0][0])
                    ]
                    for key, settings in keys.items()
                }
                for container, keys in containers.items()
            }
            for file, containers in self.files.items()
        }


class ConfigFiles:
    """Renders config files of a whole cloud; equal texts and overrides are parsed and printed once."""

    def __init__(self, cloud: Cloud) -> None:
        self.cloud = cloud
        self.origins = Origins()
        self._parsed: dict[str, ini.Ini] = {}

    def file(self, scope: Scope, host: Host, container: str, instance: str, name: str, entry: Mapping[str, Any]) -> str:
        """Final text of one file. Raises TemplateFault.

        scope
            The rendering context.
        container, instance
            Base name and, with ``for_each``, the name of the instance.
        name, entry
            The file's name and its entry in ``config:``.
        """
        template = entry.get("template", f"{name}.j2")
        text = scope.file(template, entry.get("with", {}))
        if entry.get("format", "text") != "ini":
            return text
        base = self._parse(text, template)
        overrides = list(layers(self.cloud, scope.service.name, container, instance, host, name))
        self._remember(scope, host, instance, name, template, base, overrides)
        if not overrides:
            return ini.render(base)
        merged = base
        for layer in overrides:
            merged = ini.merge(merged, layer.values)
            scope.used |= set(_secret_values(layer))
        return ini.render(merged)

    def _parse(self, text: str, template: str) -> ini.Ini:
        known = self._parsed.get(text)
        if known is None:
            try:
                known = ini.parse(text)
            except ini.IniError as exc:
                raise TemplateFault(f"its text is no INI: {exc}", template, None) from None
            if len(self._parsed) < CACHE_LIMIT:
                self._parsed[text] = known
        return known

    def _remember(
        self, scope: Scope, host: Host, instance: str, name: str, template: str, base: ini.Ini, overrides: list[Layer]
    ) -> None:
        where = f"{scope.service.folder}/files/{template}"
        for section, keys in base.items():
            for key, values in keys.items():
                shown = _shown(key, values)
                self.origins.note(name, instance, f"{section}.{key}", (0, shown, "template", where), host.id)
        for layer in overrides:
            for section, settings in layer.values.items():
                for key, value in settings.items():
                    place = self.cloud.sources.locate((*layer.path, section, key))
                    shown = "(removed)" if value is None else _shown(key, ini.values_of(value))
                    self.origins.note(
                        name, instance, f"{section}.{key}", (layer.rank, shown, layer.who, str(place)), host.id
                    )


def _shown(key: str, values: list[str | None]) -> str:
    return MASK if sensitive((key,)) else ", ".join("(set)" if v is None else v for v in values)


def _secret_values(layer: Layer) -> Iterator[str]:
    """Overridden values whose key says that they are secret: they are masked like generated ones."""
    for settings in layer.values.values():
        for key, value in settings.items():
            if sensitive((key,)):
                yield from (v for v in ini.values_of(value) if v)
