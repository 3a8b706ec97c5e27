"""What operators add to images: the Dockerfile then, which inputs change, and what is refused, with its key."""

from __future__ import annotations

import io
import shutil
import tarfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import BuildFailed, SalternError
from saltern.host.places import EPOCH, Place, add, fingerprint, fingerprints
from saltern.images import custom
from saltern.images.causes import own_changes
from saltern.images.options import Options, options_from
from saltern.images.overview import overview
from saltern.images.record import Record
from saltern.images.run import build_all, decide
from saltern.images.tree import Tree, TreeBroken, load

from . import trees

HASH = f"--hash=sha256:{'0' * 64}"
APP = (
    '{% import "macros.j2" as build with context %}\n'
    "{{ build.venv('app') }}\n{{ build.stage('openstack-base', 'stage') }}\n{{ build.deliver() }}\n"
    "{% block stages %}{% endblock %}\nFROM {{ image('openstack-base') }}\n"
    "COPY --from=stage /delta/ /\nCOPY --from=venv /delta/ /\nCOPY own /own\n"
    "{% block final %}{% endblock %}\nUSER keystone\n"
)
FILES = {
    "base/Dockerfile.j2": "FROM {{ image('distro') }}\n",
    "builder-os/Dockerfile.j2": "{{ build_only() }}\nFROM {{ image('base') }}\n",
    "openstack-base/Dockerfile.j2": "FROM {{ image('base') }}\nCOPY --from={{ image('builder-os') }} /v /v\n",
    "app/Dockerfile.j2": APP,
    "app/own": "own\n",
    "plain/Dockerfile.j2": "FROM {{ image('openstack-base') }}\nUSER kolla\n",
    "other/Dockerfile.j2": "FROM {{ image('base') }}\nUSER kolla\n",
    "locks/1.0/app.txt": f"app==1.0 {HASH}\nextra==2 {HASH}\nOslo.Config==3 {HASH}\n",
    "locks/1.0/common.txt": f"oslo-config==3 {HASH}\n",
}
PATH = "/srv/git/app"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = trees.write(tmp_path / "images", FILES)
    shutil.copytree(trees.CHECKOUT / "images/_build", found / "_build")
    return found


def options(**images: Any) -> Options:
    return replace(Options(release="1.0"), custom=images)


def tree_of(folder: Path, *, fingerprints: dict[str, str | None] | None = None, **images: Any) -> Tree:
    return load(folder, options(**{name.replace("_", "-"): value for name, value in images.items()}), {}, fingerprints)


def changed(before: Tree, after: Tree) -> set[str]:
    return {name for name in after.images if before.images[name].inputs != after.images[name].inputs}


def why(before: Tree, after: Tree) -> list[str]:
    return own_changes({"parts": before.images["app"].parts}, after.images["app"].parts, {})


def lines(tree: Tree, name: str) -> list[str]:
    return tree.images[name].dockerfile.splitlines()


def refused(folder: Path, **images: Any) -> SalternError:
    with pytest.raises(SalternError) as caught:
        tree_of(folder, **images)
    return caught.value


# -- packages, steps, lines --------------------------------------------------------------------------------------


def test_packages_and_steps_run_in_a_stage_on_top_of_the_shipped_image(folder: Path) -> None:
    tree = tree_of(folder, app={"packages": ["strace"], "steps": ["RUN echo hi > /etc/motd"], "append": ["ENV A=b"]})
    text = lines(tree, "app")
    assert "FROM saltern/openstack-base:1.0 AS stock" in text
    stage = text[text.index("FROM stock AS custom") : text.index("FROM stock")]
    assert stage[:4] == ["FROM stock AS custom", "USER 0", "LABEL saltern.stage=saltern/app:1.0", "COPY settings/ /"]
    install = next(line for line in stage if "strace" in line)
    assert stage.index("RUN collect snap") < stage.index(install) < stage.index("RUN echo hi > /etc/motd")
    assert stage[-1].endswith("collect delta /delta")
    assert text[text.index("FROM stock") :] == [
        "FROM stock",
        "COPY --from=custom /delta/ /",
        "USER keystone",
        "ENV A=b",
    ]
    assert "strace" in tree.images["app"].packages


def test_lines_alone_need_no_stage(folder: Path) -> None:
    before, after = tree_of(folder), tree_of(folder, app={"append": ["ENV A=b"]})
    assert lines(after, "app") == [*lines(before, "app"), "ENV A=b"]


def test_an_image_without_a_stage_or_an_environment_gets_one(folder: Path) -> None:
    tree = tree_of(folder, plain={"pip": [f"oidc==1.2.0 {HASH}"], "steps": ["RUN true"]})
    text = lines(tree, "plain")
    assert "FROM saltern/builder-os:1.0 AS venv" in text
    assert text[-4:] == ["FROM stock", "COPY --from=venv /delta/ /", "COPY --from=custom /delta/ /", "USER kolla"]
    assert set(tree.images["plain"].parents) == {"openstack-base", "builder-os"}


def test_an_image_that_serves_builds_gets_further_lines(folder: Path) -> None:
    text = lines(tree_of(folder, builder_os={"packages": ["git"], "steps": ["RUN true"]}), "builder-os")
    assert text[0] == "FROM saltern/base:1.0"
    assert text[-2:][1] == "RUN true"
    assert text[-2].endswith(" git")


# -- packages of Python ------------------------------------------------------------------------------------------


def test_python_packages_go_into_the_environments_stage(folder: Path) -> None:
    tree = tree_of(
        folder,
        app={"pip": [f"oidc[x]==1.2.0 {HASH}", "/srv/more-1.tar.gz"], "source": {"path": PATH}},
        fingerprints={PATH: "0123456789abcdef", "/srv/more-1.tar.gz": "f" * 16},
    )
    image = tree.images["app"]
    (install,) = [line for line in lines(tree, "app") if "install-custom /var" in line]
    assert "--source custom/source --mark 0123456" in install
    assert f"--pip '0 oidc[x]==1.2.0 {HASH}' --pip '1 custom/pip/1'" in install
    assert image.custom is not None
    assert [each.as_place() for each in image.custom.sources.values()] == [
        {"path": "/srv/more-1.tar.gz", "into": "custom/pip/1", "digest": "f" * 16},
        {"path": PATH, "into": "custom/source", "digest": "0123456789abcdef"},
    ]


@pytest.mark.parametrize(
    ("raw", "key", "text"),
    [
        ({"pip": ["oidc==1.2.0"]}, "pip[0]", "no exact version with its hash"),
        ({"pip": [f"oidc>=1.2.0 {HASH}"]}, "pip[0]", "no exact version with its hash"),
        ({"pip": [f"x==1' && reboot '{HASH}"]}, "pip[0]", "no exact version with its hash"),
        ({"pip": ["/srv/thing"]}, "pip[0]", "neither a wheel nor an sdist"),
        ({"pip": [f"oslo.config==4 {HASH}"]}, "pip[0]", "all services share"),
        ({"pip": ["/srv/oslo_config-4-py3-none-any.whl"]}, "pip[0]", "all services share"),
        ({"source": {"path": "/srv/oslo.config-4.tar.gz"}}, "source", "all services share"),
        ({"source": {"path": "/srv/stranger-4.tar.gz"}}, "source", "not in the lock of app"),
        ({"source": {"path": "git/app"}}, "source", "absolute path"),
        ({"source": {"git": "x"}}, "source", "absolute path"),
        ({"packages": ["strace; reboot"]}, "packages[0]", "no package's name"),
        ({"steps": ["RUN true", "echo hi"]}, "steps[1]", "ECHO is no instruction"),
        ({"steps": ["RUN --mount=type=cache,target=/x true"]}, "steps[0]", "needs BuildKit"),
        ({"steps": ["FROM scratch"]}, "steps[0]", "FROM is no instruction"),
        ({"steps": ["RUN true \\"]}, "steps[0]", "instruction of a Dockerfile"),
        ({"append": ["RUN --mount=type=secret,id=x true"]}, "append[0]", "needs BuildKit"),
        ({"append": ["ENV A=b", "ARG TOKEN"]}, "append[1]", "stays in the image's history"),
        ({"append": ["COPY settings/ /"]}, "append[0]", "mirrors and certificates"),
        ({"append": ["ENV A=b\nFROM scratch"]}, "append[0]", "FROM is no instruction"),
    ],
)
def test_a_wrong_value_is_refused_with_its_key(folder: Path, raw: dict[str, Any], key: str, text: str) -> None:
    error = refused(folder, app=raw)
    assert text in error.message
    assert error.where == f"openstack:images:custom:app:{key}"


def test_what_has_no_environment_gets_no_python_package(folder: Path) -> None:
    assert "no virtual environment" in refused(folder, other={"pip": [f"oidc==1 {HASH}"]}).message
    assert "only serves builds" in refused(folder, builder_os={"pip": [f"oidc==1 {HASH}"]}).message
    error = refused(folder, plain={"source": {"path": PATH}})
    assert (error.where, error.message) == (
        "openstack:images:custom:plain:source",
        "plain installs no lock of its own, so it has no package to replace",
    )


def test_install_type_binary_has_no_packages_of_pypi(folder: Path) -> None:
    with pytest.raises(SalternError, match="install type") as caught:
        load(folder, replace(options(app={"source": {"path": PATH}}), type="binary"))
    assert caught.value.where == "openstack:images:custom:app:source"


def test_an_operators_package_may_be_named_as_its_distribution_does() -> None:
    chosen = Options(distro="rocky", suite="10", custom={"memcached": {"packages": ["perl-utils-x", "libldap2"]}})
    names = load(trees.CHECKOUT / "images", chosen).images["memcached"].packages
    assert "perl-utils-x" in names
    assert "openldap" in names


def test_an_unknown_image_shows_the_nearest_ones(folder: Path) -> None:
    error = refused(folder, openstack_bas={"append": ["ENV A=b"]})
    assert error.where == "openstack:images:custom:openstack-bas"
    assert "openstack-base" in error.hint
    assert refused(folder, distro={"packages": ["x"]}).where == "openstack:images:custom:distro"


# -- inputs ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("field", ["packages", "steps", "append", "pip"])
def test_a_changed_value_concerns_its_image_and_says_so(folder: Path, field: str) -> None:
    values: dict[str, tuple[list[str], list[str]]] = {
        "packages": (["strace"], ["strace", "ltrace"]),
        "steps": (["RUN true"], ["RUN false"]),
        "append": (["ENV A=b"], ["ENV A=c"]),
        "pip": ([f"oidc==1 {HASH}"], [f"oidc==2 {HASH}"]),
    }
    first, second = (tree_of(folder, app={field: value}) for value in values[field])
    assert changed(first, second) == {"app"}
    assert why(first, second) == [f"custom {field} changed"]


def test_taken_away_the_inputs_are_the_former_ones(folder: Path) -> None:
    before = tree_of(folder)
    assert changed(before, tree_of(folder, app={"packages": ["strace"]})) == {"app"}
    assert changed(before, tree_of(folder, openstack_base={"packages": ["strace"]})) == {
        "openstack-base",
        "app",
        "plain",
    }
    assert changed(before, tree_of(folder, app={"packages": [], "steps": [], "source": None})) == set()
    assert changed(before, tree_of(folder, app=None)) == set()


def test_a_sources_content_is_an_input_and_its_folder_is_none(folder: Path) -> None:
    raw = {"source": {"path": PATH}}
    one = tree_of(folder, app=raw, fingerprints={PATH: "1" * 16})
    two = tree_of(folder, app=raw, fingerprints={PATH: "2" * 16})
    assert changed(one, two) == {"app"}
    assert why(one, two) == ["custom source changed"]
    moved = tree_of(folder, app={"source": {"path": "/home/me/app"}}, fingerprints={"/home/me/app": "1" * 16})
    assert changed(one, moved) == set()


def test_versions_of_a_refresh_concern_an_image_that_has_packages_only_by_the_operator(folder: Path) -> None:
    chosen = options(plain={"packages": ["strace"]})
    before, after = load(folder, chosen, {}), load(folder, chosen, {"plain": {"strace": "2"}})
    assert changed(before, after) == {"plain"}


def test_a_former_image_that_is_still_there_gets_its_name_back(folder: Path) -> None:
    image = tree_of(folder).images["app"]
    record = Record(
        builds={image.reference: {"inputs": "x", "parts": {}, "made": [[image.inputs, "id-1"], ["x", "id-2"]]}}
    )
    there = [
        {"id": "id-1", "tags": [], "image": "app", "inputs": image.inputs},
        {"id": "id-2", "tags": [image.reference], "image": "app", "inputs": "x"},
    ]
    assert [(each.action, each.id) for each in decide(tree_of(folder), ["app"], there, record)] == [("tag", "id-1")]
    assert decide(tree_of(folder), ["app"], there[1:], record)[0].action == "build"
    # what a build left behind has its parent's labels
    assert decide(tree_of(folder), ["app"], there, Record())[0].action == "build"


# -- what is asked of the builder --------------------------------------------------------------------------------


class Asked:
    """A builder that is only asked."""

    def __init__(self, answer: dict[str, str | None]) -> None:
        self.answer, self.calls = answer, []

    def fingerprints(self, paths: list[str]) -> dict[str, str | None]:
        self.calls.append(paths)
        return {path: self.answer.get(path) for path in paths}

    def listing(self) -> list[dict[str, Any]]:
        self.calls.append(["list"])
        return []


def test_a_path_that_is_not_there_is_an_error_before_anything_is_built(folder: Path, tmp_path: Path) -> None:
    builder = Asked({})
    chosen = options(app={"source": {"path": PATH}, "pip": ["/srv/a-1.whl"]}, other={"pip": []})
    with pytest.raises(SalternError, match=r"no /srv/a-1\.whl on the builder") as caught:
        build_all(builder, folder, chosen, state=tmp_path / "state", names=["app"])  # type: ignore[arg-type]
    assert caught.value.where == "openstack:images:custom:app:pip[0]"
    assert builder.calls == [["/srv/a-1.whl", PATH]]


def test_several_builders_must_have_the_same() -> None:
    one, other = {"/a": "1", "/b": None}, {"/a": "1", "/b": None}
    assert custom.agreed({"b1": one, "b2": other}) == one
    with pytest.raises(SalternError, match="not the same on b1, b2") as caught:
        custom.agreed({"b1": one, "b2": {"/a": "1", "/b": "2"}})
    assert caught.value.where == "/b"


def test_paths_of_images_that_are_not_asked_for_do_not_stop_a_build(folder: Path) -> None:
    tree = tree_of(folder, app={"source": {"path": PATH}}, fingerprints={PATH: None})
    custom.missing(tree.images[name].custom for name in tree.select(["other"]))
    with pytest.raises(SalternError, match="on the builder"):
        custom.missing(tree.images[name].custom for name in tree.select(["app"]))


def test_the_overview_asks_for_what_is_named(folder: Path, tmp_path: Path) -> None:
    asked: list[list[str]] = []

    def ask(paths: list[str]) -> dict[str, dict[str, str | None]]:
        asked.append(paths)
        return {"b1": {PATH: "1" * 16}}

    chosen = options(app={"source": {"path": PATH}})
    image = load(folder, chosen, {}, {PATH: "1" * 16}).images["app"]
    there = {"id": "id", "tags": [image.reference], "image": "app", "inputs": image.inputs, "release": "", "size": 1}
    found = overview(lambda: {"b1": [there]}, folder, chosen, state=tmp_path, names=["app"], ask_paths=ask)
    assert [each["state"] for each in found["images"] if each["image"] == "app"] == ["fresh"]
    assert asked == [[PATH]]
    overview(lambda: {"b1": [there]}, folder, options(), state=tmp_path, ask_paths=ask)
    assert len(asked) == 1


def test_nothing_is_asked_when_nothing_is_named() -> None:
    assert custom.paths({"app": {"packages": ["strace"], "pip": [f"x==1 {HASH}"]}, "b": None}) == []


def test_options_of_the_pillar() -> None:
    found = options_from({"images": {"folders": ["/srv/images"], "custom": {"app": {"append": ["ENV A=b"]}}}})
    assert (list(found.folders), dict(found.custom)) == (["/srv/images"], {"app": {"append": ["ENV A=b"]}})


# -- an operator's own folders -----------------------------------------------------------------------------------


@pytest.fixture
def own(tmp_path: Path) -> Path:
    return trees.write(
        tmp_path / "own",
        {
            "extra/Dockerfile.j2": "FROM {{ image('base') }}\nCOPY x {{ lock('mine') }} {{ shared('note') }} /x/\n",
            "extra/x": "x\n",
            "locks/1.0/mine.txt": "mine==1\n",
            "_build/note": "note\n",
        },
    )


def with_own(folder: Path, *own: Path) -> Tree:
    return load(folder, replace(Options(release="1.0"), folders=[str(each) for each in own]))


def test_a_folder_adds_and_overrides(folder: Path, own: Path) -> None:
    trees.write(own, {"other/Dockerfile.j2": "FROM {{ image('extra') }}\nUSER kolla\n"})
    before, after = with_own(folder), with_own(folder, own)
    assert after.images["other"].parents == ("extra",)
    assert set(after.images["extra"].files) == {"x", "locks/mine.txt", "shared/note"}
    assert changed(before, Tree({n: i for n, i in after.images.items() if n in before.images}, after.options)) == {
        "other"
    }


def test_an_override_may_continue_what_is_shipped_and_has_its_files(folder: Path, own: Path) -> None:
    template = (
        '{% extends "saltern/app/Dockerfile.j2" %}\n'
        "{% block stages %}\nFROM {{ image('base') }} AS more\n{{ build.install(['strace']) }}\n{% endblock %}\n"
        "{% block final %}\nCOPY motd /etc/motd\n{% endblock %}\n"
    )
    trees.write(own, {"app/Dockerfile.j2": template, "app/motd": "hi\n", "app/own": "theirs\n"})
    image = with_own(folder, own).images["app"]
    text = image.dockerfile.splitlines()
    assert text[-3:] == ["COPY own /own", "COPY motd /etc/motd", "USER keystone"]
    assert text.index("FROM saltern/base:1.0 AS more") < text.index("FROM saltern/openstack-base:1.0")
    assert image.files["motd"].source == own / "app/motd"
    assert image.files["own"].source == own / "app/own"
    (own / "app/own").unlink()
    assert with_own(folder, own).images["app"].files["own"].source == folder / "app/own"


def test_a_new_image_may_continue_a_shipped_one(folder: Path, own: Path) -> None:
    trees.write(own, {"app-x/Dockerfile.j2": '{% extends "saltern/app/Dockerfile.j2" %}\n'})
    tree = with_own(folder, own)
    assert tree.images["app-x"].files["own"].source == folder / "app/own"


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("FROM {{ image('base') }}\n{{ nothing }}\n", 2, "'nothing' is undefined"),
        ("FROM {{ image('base') }}\n{% if %}\n", 2, "Expected an expression"),
        ("\nFROM {{ image('bas') }}\n", 2, "there is no image 'bas'"),
        ("FROM {{ image('base') }}\n\nRUN --mount=type=cache true\n", 3, "needs BuildKit"),
        ('{% extends "saltern/ap/Dockerfile.j2" %}\n', 1, "there is no template 'saltern/ap/Dockerfile.j2'"),
        ("FROM {{ image('base') }}\nCOPY {{ lock('none') }} /x\n", 2, "there is no"),
        ("FROM {{ image('base') }}\nCOPY --from=stranger /x /x\n", 2, "neither a stage nor an image"),
    ],
)
def test_errors_name_the_operators_file_and_line(folder: Path, own: Path, text: str, line: int, message: str) -> None:
    trees.write(own, {"extra/Dockerfile.j2": text})
    with pytest.raises(SalternError) as caught:
        with_own(folder, own)
    assert message in caught.value.message
    assert caught.value.where == f"{own}/extra/Dockerfile.j2:{line}"


def test_a_folder_that_is_none(folder: Path, own: Path, tmp_path: Path) -> None:
    def error(*own: Path) -> SalternError:
        with pytest.raises(SalternError) as caught:
            with_own(folder, *own)
        assert caught.value.where == f"openstack:images:folders[{len(own) - 1}]"
        return caught.value

    assert "there is no folder" in error(own, tmp_path / "absent").message
    (tmp_path / "empty").mkdir()
    assert "has no image" in error(own, tmp_path / "empty").message
    (own / "half").mkdir()
    assert "half has no Dockerfile.j2" in error(own).message
    (own / "half").rename(own / "_half")
    trees.write(own, {"Bad_Name/Dockerfile.j2": "FROM {{ image('base') }}\n"})
    with pytest.raises(TreeBroken, match="cannot be the name"):
        with_own(folder, own)


def test_the_last_of_several_folders_counts(folder: Path, own: Path, tmp_path: Path) -> None:
    second = trees.write(tmp_path / "second", {"extra/Dockerfile.j2": "FROM {{ image('base') }}\nENV A=b\n"})
    assert with_own(folder, own, second).images["extra"].dockerfile.endswith("ENV A=b\n")
    assert with_own(folder, second, own).images["extra"].files


def test_every_shipped_image_of_services_can_be_continued(tmp_path: Path) -> None:
    shipped = trees.CHECKOUT / "images"
    names = [i.name for i in load(shipped, Options()).images.values() if not i.build_only and i.name != "base"]
    text = (
        '{{% extends "saltern/{name}/Dockerfile.j2" %}}\n{{% block stages %}}\nFROM {{{{ image("base") }}}} AS more\n'
        "{{% endblock %}}\n{{% block final %}}\nENV MORE=1\n{{% endblock %}}\n"
    )
    own = trees.write(tmp_path / "own", {f"{name}/Dockerfile.j2": text.format(name=name) for name in names})
    tree = load(shipped, Options(folders=[str(own)]))
    for name in names:
        found = tree.images[name].dockerfile.splitlines()
        last = [line for line in found if not line.startswith("USER ")][-1]
        assert "FROM saltern/base:2025.2 AS more" in found, f"{name}: add {{% block stages %}} before its last FROM"
        assert last == "ENV MORE=1", f"{name}: add {{% block final %}} before its USER"


def test_every_shipped_image_takes_packages_and_steps() -> None:
    shipped = trees.CHECKOUT / "images"
    names = [name for name in load(shipped, Options()).images if name != "distro"]
    raw = {name: {"packages": ["strace"], "steps": ["RUN true"], "append": ["ENV A=b"]} for name in names}
    tree = load(shipped, Options(custom=raw))
    before = load(shipped, Options())
    for name in names:
        assert lines(tree, name)[-1] == "ENV A=b"
        users = [[line for line in lines(each, name) if line.startswith("USER")][-1:] for each in (before, tree)]
        assert users[0] in (users[1], [])


# -- content on the builder --------------------------------------------------------------------------------------


def project(root: Path) -> Path:
    return trees.write(root / "app", {"setup.cfg": "[metadata]\nname = app\n", "app/__init__.py": "A = 1\n"})


def test_a_fingerprint_tells_content_and_not_times_caches_or_gits_data(tmp_path: Path) -> None:
    root = project(tmp_path)
    before = fingerprint(str(root))
    trees.write(
        root,
        {
            ".git/HEAD": "x",
            "app/__pycache__/a.pyc": "x",
            "app/a.pyc": "x",
            "build/lib/x": "x",
            "app.egg-info/PKG-INFO": "x",
            "env/pyvenv.cfg": "x",
            "env/bin/python": "x",
        },
    )
    assert fingerprint(str(root)) == before
    trees.write(root, {"app/build/x.py": "x"})
    within = fingerprint(str(root))
    assert within != before
    (root / "app/__init__.py").chmod(0o755)
    assert fingerprint(str(root)) != within
    (root / "link").symlink_to("app")
    linked = fingerprint(str(root))
    (root / "link").unlink()
    (root / "link").symlink_to("setup.cfg")
    assert fingerprint(str(root)) != linked


def test_content_enters_the_context_as_it_was_asked_about(tmp_path: Path) -> None:
    root = project(tmp_path)
    (root / "run").write_text("x")
    (root / "run").chmod(0o700)
    (root / "link").symlink_to("run")
    place = Place(str(root), "custom/source", fingerprint(str(root)))
    with tarfile.open(fileobj=io.BytesIO(), mode="w") as tar:
        add(tar, place)
        found = {entry.name: (oct(entry.mode), entry.linkname, entry.mtime) for entry in tar}
        assert found == {
            "custom/source/app/__init__.py": ("0o644", "", EPOCH),
            "custom/source/link": ("0o644", "run", EPOCH),
            "custom/source/run": ("0o755", "", EPOCH),
            "custom/source/setup.cfg": ("0o644", "", EPOCH),
        }
        (root / "run").write_text("y")
        with pytest.raises(BuildFailed, match="changed after the build had begun"):
            add(tar, place)
        shutil.rmtree(root)
        with pytest.raises(BuildFailed, match="neither a checkout"):
            add(tar, place)


def test_what_cannot_be_a_source_is_said_by_the_builder(tmp_path: Path) -> None:
    archive = tmp_path / "app-1.tar.gz"
    archive.write_bytes(b"x")
    found = fingerprints([str(archive), str(tmp_path / "absent")])
    assert found[str(tmp_path / "absent")] is None
    archive.rename(tmp_path / "app-2.tar.gz")
    assert fingerprint(str(tmp_path / "app-2.tar.gz")) != found[str(archive)]
    with pytest.raises(SalternError, match="no Python project"):
        fingerprints([str(tmp_path)])
    (tmp_path / "text").write_text("x")
    with pytest.raises(SalternError, match="neither a checkout, a wheel nor an sdist"):
        fingerprints([str(tmp_path / "text")])
