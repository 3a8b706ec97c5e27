"""Jinja for config files and for strings of a service.yaml: sandboxed, strict, pure.

Each rendering goes through a ``Scope`` that knows the host, the service and the container, and that remembers every
secret it gave away, so that the slice can name what has to be masked.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any
from urllib.parse import quote

import jinja2
from jinja2.sandbox import ImmutableSandboxedEnvironment

from saltern.model import ini, login, messaging, units, uwsgi
from saltern.model.cloud import Cloud, Host
from saltern.model.services import Service
from saltern.model.units import hostport


class TemplateFault(Exception):
    """A template that does not render: what is wrong, in which template and line."""

    def __init__(self, message: str, template: str, line: int | None) -> None:
        self.message, self.template, self.line = message, template, line
        super().__init__(message)


class Refused(Exception):
    """A helper was asked for what the model does not have."""


@lru_cache(maxsize=256)
def _environment(files: tuple[tuple[str, str], ...]) -> jinja2.Environment:
    sources = dict(files)

    def load(name: str) -> tuple[str, str, Any] | None:
        return (sources[name], name, lambda: True) if name in sources else None

    environment = ImmutableSandboxedEnvironment(
        loader=jinja2.FunctionLoader(load),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        cache_size=-1,
    )
    environment.filters["bytes"] = units.size
    return environment


@lru_cache(maxsize=8192)
def _inline(text: str) -> jinja2.Template:
    return _environment(()).from_string(text)


def _files_only(*_: Any) -> str:
    raise Refused("secrets may be used in files only: arguments, environment and labels can be read by others")


class Scope:
    """What templates of one container on one host see (docs/service-yaml.md)."""

    def __init__(
        self,
        cloud: Cloud,
        shared: Mapping[str, Any],
        host: Host,
        service: Service,
        name: str,
        container: Mapping[str, Any],
        process: str,
        each: tuple[str | None, Any] = (None, None),
    ) -> None:
        self.cloud, self.host, self.service, self.name, self.process = cloud, host, service, name, process
        self.used: set[str] = set()
        self.public: dict[str, Any] = {
            **shared,
            "host": shared["hosts"][host.id],
            "service": service.raw,
            "container": container,
            "vars": cloud.variables[service.name],
            "each": {"key": each[0], "value": each[1]},
            "secret": _files_only,
            "database_url": _files_only,
            "transport_url": _files_only,
            "oslo_messaging": self.oslo_messaging,
            "service_auth": _files_only,
            "token_auth": _files_only,
            "uwsgi": self.uwsgi,
        }
        self.secret_context = {
            **self.public,
            "secret": self.secret,
            "database_url": self.database_url,
            "transport_url": self.transport_url,
            "service_auth": self.service_auth,
            "token_auth": self.token_auth,
        }

    def secret(self, name: str, index: int | None = None) -> str:
        """A secret's value, or an item of a list of them."""
        value = self.cloud.secrets.get(name)
        if value is None:
            raise Refused(f'no secret "{name}"; declare it in secrets: of a service.yaml')
        if isinstance(value, list):
            if index is None or not -len(value) <= index < len(value):
                raise Refused(f'secret "{name}" is a list of {len(value)}: name one by its number, secret("{name}", 0)')
            value = value[index]
        elif index not in (None, 0):
            raise Refused(f'secret "{name}" is no list')
        return self._remember(str(value))

    def _remember(self, value: str) -> str:
        encoded = quote(value, safe="")
        self.used |= {value, encoded}
        # values of several lines are shown line by line in a diff
        self.used |= {line.strip() for line in value.splitlines() if len(line.strip()) >= 8}
        return value

    def database_url(self, service_name: str, name: str | None = None) -> str:
        """SQLAlchemy's URL of a service's database, its password percent-encoded."""
        service = self.cloud.services.get(service_name)
        if service is None or not service.databases:
            raise Refused(f'no enabled service "{service_name}" with a database')
        database = next((d for d in service.databases if name in (None, d["name"])), None)
        if database is None:
            raise Refused(f'service "{service_name}" has no database "{name}"')
        provider = self.cloud.provider("database")
        if provider is None or not provider.frontends:
            raise Refused("no enabled service provides a database with a frontend")
        password = quote(self.secret(database["password"]), safe="")
        place = hostport(self.cloud.vip, provider.frontends[0].port)
        return f"mysql+pymysql://{database['user']}:{password}@{place}/{database['name']}?charset=utf8mb4"

    def transport_url(self) -> str:
        """oslo.messaging's URL of all members of the message queue."""
        given, _ = self._messaging()
        return messaging.transport_url(self.cloud, given, self.secret(given["password"]))

    def oslo_messaging(self) -> str:
        """The section ``[oslo_messaging_rabbit]``; it holds no secret."""
        given, own = self._messaging()
        return messaging.section(given, own["options"], self.host.id, self.process)

    def service_auth(self, user: str) -> str:
        """Lines by which a service logs in to Keystone, for a section of its own."""
        return ini.lines(login.service_auth(self.cloud, *self._login(user)))

    def token_auth(self, user: str) -> str:
        """The section ``[keystone_authtoken]``."""
        return ini.section("keystone_authtoken", login.token_auth(self.cloud, *self._login(user)))

    def _login(self, name: str) -> tuple[str, Mapping[str, Any], str]:
        """Keystone's URL, the user and its password."""
        user = login.user_of(self.cloud, name)
        if user is None:
            raise Refused(f'no enabled service has a user "{name}" in its identity: users')
        provider = self.cloud.provider("identity")
        if provider is None or not provider.frontends:
            raise Refused("no enabled service provides identity with a frontend")
        password = login.escaped(self.secret(user["password"]))
        return self.cloud.url(provider.frontends[0].name), user, self._remember(password)

    def uwsgi(self, module: str, env: Mapping[str, Any] | None = None, **options: Any) -> str:
        """The section ``[uwsgi]`` of an API behind the frontend that names this container; it holds no secret."""
        frontend = self.service.frontend_of(self.name)
        if frontend is None:
            raise Refused(f'no frontend of service "{self.service.name}" names the container "{self.name}"')
        place = hostport(self.host.address, frontend.listen)
        variables = self.cloud.variables[self.service.name]
        return ini.section("uwsgi", uwsgi.options_of(place, module, env or {}, variables, self.cloud.debug, options))

    def _messaging(self) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
        """What the provider gives, and what this service asks for."""
        if self.service.messaging is None:
            raise Refused(f'service "{self.service.name}" uses no messaging; declare it: messaging: {{}}')
        provider = self.cloud.provider("messaging")
        if provider is None:
            raise Refused("no enabled service provides messaging")
        return provider.provides["messaging"], self.service.messaging

    def file(self, name: str, parameters: Mapping[str, Any]) -> str:
        """Render one of the service's template files. Raises TemplateFault."""
        environment = _environment(tuple(self.service.templates.items()))
        context = {**self.secret_context, "with": parameters}
        return self._guarded(name, lambda: environment.get_template(name).render(context))

    def tree(self, value: Any, where: str) -> Any:
        """Render every string of a tree, without secrets. Raises TemplateFault."""
        if isinstance(value, str):
            if "{{" not in value and "{%" not in value:
                return value
            return self._guarded(where, lambda: _inline(value).render(self.public))
        if isinstance(value, Mapping):
            return {k: self.tree(v, where) for k, v in value.items()}
        if isinstance(value, list):
            return [self.tree(v, where) for v in value]
        return value

    def _guarded(self, name: str, action: Any) -> str:
        try:
            return str(action())
        except jinja2.TemplateNotFound as exc:
            raise TemplateFault(f'no template "{exc.name}" in files/', name, None) from None
        except jinja2.TemplateSyntaxError as exc:
            raise TemplateFault(str(exc.message), exc.name or name, exc.lineno) from None
        except (jinja2.TemplateError, Refused) as exc:
            raise TemplateFault(str(exc), name, _line(exc, name)) from None
        except Exception as exc:  # arithmetic on None, a wrong filter argument: its text could quote a secret
            raise TemplateFault(f"{type(exc).__name__} while rendering", name, _line(exc, name)) from None


def _line(exc: BaseException, name: str) -> int | None:
    """The template's line that an error came from: Jinja gives its frames the template's own name and numbers."""
    line = None
    trace = exc.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename in (name, "<template>"):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def shared_context(cloud: Cloud) -> dict[str, Any]:
    """The part of the context that is the same for every container of the cloud."""

    def url(name: str) -> str:
        if name not in cloud.frontends:
            raise Refused(f'no enabled service "{name}" with a frontend')
        return cloud.url(name)

    def members(container: str) -> list[dict[str, str]]:
        return [{"id": h.id, "address": h.address} for h in cloud.members(container)]

    return {
        "cloud": cloud.name,
        "release": cloud.release,
        "region": cloud.region,
        "debug": cloud.debug,
        "vip": cloud.vip,
        "networks": cloud.networks.as_dict(),
        "hosts": {name: host.as_dict() for name, host in cloud.hosts.items()},
        "url": url,
        "members": members,
        "frontends": [{**f.as_dict(), "backends": cloud.backends(f)} for f in cloud.frontends.values()],
        "memcached_servers": cloud.memcached_servers(),
        "messaging_servers": messaging.servers(cloud),
    }
