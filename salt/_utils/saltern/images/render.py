"""Dockerfile templates: Jinja with strict undefined and a few helpers that note what an image is made of."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import jinja2

from saltern.contract.errors import SalternError
from saltern.contract.users import UIDS
from saltern.images import custom as additions
from saltern.images.custom import Custom
from saltern.images.distros import distribution
from saltern.images.folders import LOCKS, SHARED, TEMPLATE, first, loader, position
from saltern.images.options import Options


@dataclass
class Notes:
    """What a template asked for while it was rendered.

    files
        Path in the build context → file on disk.
    packages
        Packages of the distribution, in order.
    release_bound
        Whether the release decides what is inside.
    build_only
        The image serves builds and is never shipped.
    root
        Why the image's user may be root; empty when it must not be.
    setuid
        Files that may have another user's rights.
    lock
        The lock that its virtual environment is made of, None when it has none of its own.
    extended
        Images that are shipped and whose templates it continues.
    """

    files: dict[str, Path] = field(default_factory=dict)
    packages: list[str] = field(default_factory=list)
    release_bound: bool = False
    build_only: bool = False
    root: str = ""
    setuid: list[str] = field(default_factory=list)
    lock: Path | None = None
    extended: list[str] = field(default_factory=list)


class TemplateBroken(SalternError):
    """A Dockerfile template cannot be rendered; ``where`` is file:line."""


class NotOfThisType(Exception):
    """The image belongs to the other install type: it is no part of this tree."""


def render(
    folder: Path,
    name: str,
    options: Options,
    reference: Callable[[str], str],
    refresh_token: str,
    *,
    home: Path | None = None,
    custom: Custom | None = None,
) -> tuple[str, Notes]:
    """Text of an image's Dockerfile, and what it was made of.

    folder
        The folder of all images.
    name
        Image.
    options
        The operator's choices.
    reference
        Gives the reference of an image of the tree, raises for a name that is none.
    refresh_token
        Changes when the distribution's packages are to be fetched again.
    home
        The folder of images that this one comes from, where that is an operator's.
    custom
        What the operator adds to it.

    Raises TemplateBroken, and NotOfThisType for an image that there is only in the other install type.
    """
    notes, home, custom = Notes(), home or folder, custom or Custom(name)
    environment = jinja2.Environment(
        loader=loader(folder, home, name, notes.extended),
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.globals |= helpers(folder, name, options, reference, refresh_token, notes, home, custom)
    try:
        text = environment.get_template(TEMPLATE).render()
        if custom.staged or custom.venv or custom.append:
            text = additions.wrapped(text, custom, environment, own_lock=notes.lock, serves_builds=notes.build_only)
    except jinja2.TemplateSyntaxError as error:
        raise TemplateBroken(
            error.message or "syntax error", where=position(folder, home, error.filename or name, error.lineno)
        ) from error
    except jinja2.TemplateNotFound as error:
        hint = f"Those that are shipped are named saltern/<image>/{TEMPLATE}"
        where = _position(error, folder, home, name)
        raise TemplateBroken(f"there is no template '{error.name}'", where=where, hint=hint) from error
    except jinja2.TemplateError as error:
        where = _position(error, folder, home, name)
        raise TemplateBroken(error.message or type(error).__name__, where=where) from error
    except SalternError as error:
        raise TemplateBroken(error.message, where=_position(error, folder, home, name), hint=error.hint) from error
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return "\n".join(lines) + "\n", notes


def helpers(
    folder: Path,
    name: str,
    options: Options,
    reference: Callable[[str], str],
    refresh_token: str,
    notes: Notes,
    home: Path,
    custom: Custom,
) -> Mapping[str, object]:
    """The names that a template may use."""
    places = (home, folder)  # a file of the operator's comes before one that is shipped

    def take(path: str, source: Path) -> str:
        if not source.is_file():
            raise SalternError(f"there is no {source.relative_to(folder.parent)}", hint=_lock_hint(source))
        notes.files[path] = source
        return path

    def lock(lock_name: str) -> str:
        notes.release_bound = True
        return take(f"locks/{lock_name}.txt", first(places, f"{LOCKS}/{options.release}/{lock_name}.txt"))

    def own_lock(lock_name: str) -> str:
        if not lock_name:
            return ""
        path = lock(lock_name)
        notes.lock = notes.files[path]
        return f" {path}"

    found = distribution(folder, options)

    def packages(names: list[str]) -> list[str]:
        # what an operator adds may be a name of the distribution itself
        own = {each for each in custom.packages if each not in found.names}
        mapped = [here for each in names for here in ([each] if each in own else found.packages([each]))]
        notes.packages += mapped
        return mapped

    def only_type(wanted: str) -> str:
        if options.type != wanted:
            raise NotOfThisType(name)
        return ""

    def build_only() -> str:
        notes.build_only = True
        return ""

    def root(why: str) -> str:
        notes.root = why
        return ""

    def setuid(path: str, why: str) -> str:
        if not path.startswith("/") or not why:
            raise SalternError("setuid() takes a path from the root and why it is needed", hint=f"Found {path!r}")
        notes.setuid.append(path)
        return ""

    def release() -> str:
        notes.release_bound = True
        return options.release

    return {
        "image": reference,
        "shared": lambda file: take(f"shared/{file}", first(places, f"{SHARED}/{file}")),
        "lock": lock,
        "own_lock": own_lock,
        "common_lock": lambda lock_name: take(f"locks/{lock_name}.txt", first(places, f"{LOCKS}/{lock_name}.txt")),
        "packages": packages,
        "repositories": found.repositories,
        "only_type": only_type,
        "build_only": build_only,
        "release": release,
        "root": root,
        "setuid": setuid,
        "users": UIDS,
        "this": name,
        "reference": options.reference(name),
        "type": options.type,
        "distro": options.distro,
        "family": found.family,
        "suite": options.suite,
        "refresh_token": refresh_token,
        "custom": custom,
    }


def _lock_hint(source: Path) -> str:
    if source.suffix != ".txt":
        return ""
    known = sorted(path.parent.name for path in source.parent.parent.glob(f"*/{source.name}"))
    return f"Locks exist for {', '.join(known)}" if known else "Make it with images/locks/compile"


def _position(error: BaseException, folder: Path, home: Path, name: str) -> str:
    """file:line in an image's template where the error arose, and that of the shared piece that it used there."""
    own, shared, trace = "", "", error.__traceback__
    while trace is not None:
        path = trace.tb_frame.f_code.co_filename
        if path.startswith((f"{folder}/", f"{home}/")) and path.endswith(".j2"):
            place = position(folder, home, path, trace.tb_lineno)
            own, shared = (place, "") if Path(path).name == TEMPLATE else (own, place)
        trace = trace.tb_next
    return f"{own} ({shared})" if own and shared else own or shared or f"{name}/{TEMPLATE}"
