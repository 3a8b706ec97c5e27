"""How a machine reaches its mirrors, read off its own files."""

from __future__ import annotations

from pathlib import Path

import pytest

from saltern.contract.errors import BuildFailed
from saltern.host.build_settings import FOLDER, Settings, gather

DEB822 = """
# a comment
Types: deb deb-src
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main contrib
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb
URIs: http://mirror.example/security
Suites: bookworm-security
Components: main
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for path, text in {
        "etc/os-release": 'ID=debian\nVERSION_CODENAME="bookworm"\n',
        "etc/apt/sources.list.d/debian.sources": DEB822,
        "etc/apt/sources.list.d/other.list": "deb [arch=amd64] https://other.example/repo stable main\n",
        "etc/ssl/certs/ca-certificates.crt": "PEM",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


def gathered(root: Path, *, dump: str = "", environ: dict[str, str] | None = None, **mirrors: object) -> Settings:
    return gather("trixie", mirrors, root=root, environ=environ or {}, apt_config=lambda: dump)


def test_the_machines_sources_are_said_again_for_the_images_suite(root: Path) -> None:
    assert gathered(root).sources == [
        "deb http://mirror.example/debian trixie main",
        "deb http://mirror.example/debian trixie-updates main",
        "deb http://mirror.example/security trixie-security main",
    ]


def test_one_line_sources(root: Path) -> None:
    (root / "etc/apt/sources.list.d/debian.sources").unlink()
    (root / "etc/apt/sources.list").write_text(
        "# deb http://no/ bookworm main\ndeb [trusted=yes] http://m/d bookworm main\n"
    )
    assert gathered(root).sources[0] == "deb http://m/d trixie main"


def test_the_pillars_mirror_wins(root: Path) -> None:
    assert gathered(root, apt="http://p/debian").sources[0] == "deb http://p/debian trixie main"
    both = gathered(root, apt={"main": "http://p/debian", "security": "http://p/sec"})
    assert both.sources[-1] == "deb http://p/sec trixie-security main"


def test_no_source_is_an_error_that_names_the_pillar_key(tmp_path: Path) -> None:
    with pytest.raises(BuildFailed) as caught:
        gathered(tmp_path)
    assert "openstack:images:mirrors:apt" in caught.value.hint


def test_only_how_things_are_fetched_is_taken_from_apt(root: Path) -> None:
    dump = 'APT::Install-Recommends "true";\nAcquire::http::Proxy "http://proxy:3128";\n'
    dump += 'Acquire::Check-Valid-Until "false";\n'
    found = gathered(root, dump=dump)
    assert found.apt_options == {"Acquire::http::Proxy": "http://proxy:3128", "Acquire::Check-Valid-Until": "false"}
    conf = found.files["etc/apt/apt.conf.d/90saltern-build"].decode()
    assert 'Acquire::http::Proxy "http://proxy:3128";' in conf
    assert f'Acquire::https::CAInfo "/{FOLDER}/ca.pem";' in conf
    assert "Install-Recommends" not in conf


def test_pip_settings_without_paths_of_this_host(root: Path) -> None:
    (root / "etc/pip.conf").write_text(
        "[global]\nindex-url = https://index.example/simple\nextra-index-url = file:///opt/x https://two.example/simple\n"
    )
    found = gathered(root)
    pip = found.files["etc/pip.conf"].decode()
    assert "index-url = https://index.example/simple" in pip
    assert "extra-index-url = https://two.example/simple" in pip
    assert "file:" not in pip
    assert "export UV_DEFAULT_INDEX='https://index.example/simple'" in found.files[f"{FOLDER}/env"].decode()
    assert f"export SSL_CERT_FILE='/{FOLDER}/ca.pem'" in found.files[f"{FOLDER}/env"].decode()
    environ = {"PIP_INDEX_URL": "https://env.example/simple", "HOME": "/root"}
    assert "index-url = https://env.example/simple" in gathered(root, environ=environ).files["etc/pip.conf"].decode()
    assert "index-url = https://p.example" in gathered(root, pypi="https://p.example").files["etc/pip.conf"].decode()


def test_credentials_are_known_as_secrets(root: Path) -> None:
    (root / "etc/pip.conf").write_text("[global]\nindex-url = https://user:s3cret@index.example/simple\n")
    assert "s3cret" in gathered(root).secrets


def test_credentials_of_apt_come_along(root: Path) -> None:
    (root / "etc/apt/auth.conf.d").mkdir()
    (root / "etc/apt/auth.conf.d/mirror.conf").write_text("machine mirror.example login a password b\n")
    assert "etc/apt/auth.conf.d/mirror.conf" in gathered(root).files


def test_without_a_bundle_nothing_points_to_one(root: Path) -> None:
    (root / "etc/ssl/certs/ca-certificates.crt").unlink()
    files = gathered(root).files
    assert not any(b"ca.pem" in content for content in files.values())


def test_another_distributions_sources_are_not_this_hosts(root: Path) -> None:
    with pytest.raises(BuildFailed, match="no apt source of Ubuntu is known on this host") as caught:
        gather("noble", {}, distro="ubuntu", root=root, environ={}, apt_config=str)
    assert caught.value.hint == "Set openstack:images:mirrors:apt to the address of a mirror of Ubuntu"


def test_ubuntus_packages_are_in_two_components(root: Path) -> None:
    mirrors = {"apt": "http://m/ubuntu"}
    found = gather("noble", mirrors, distro="ubuntu", root=root, environ={}, apt_config=str)
    assert found.sources == [
        "deb http://m/ubuntu noble main universe",
        "deb http://m/ubuntu noble-updates main universe",
        "deb http://m/ubuntu noble-security main universe",
    ]


def test_what_installs_with_dnf_gets_proxy_and_certificates_and_nothing_of_apt(root: Path) -> None:
    environ = {"https_proxy": "http://proxy.example:3128"}
    found = gather("10", {}, distro="rocky", root=root, environ=environ, apt_config=str)
    assert not [path for path in found.files if "apt" in path]
    assert found.sources == []
    options = f"--setopt=proxy=http://proxy.example:3128 --setopt=sslcacert=/{FOLDER}/ca.pem"
    assert f"export SALTERN_DNF='{options}'\n".encode() in found.files[f"{FOLDER}/env"]
