"""Push and pull: what the engine is asked for, whom a password is shown to, which failures are tried again."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import ImageMissing
from saltern.host import registry
from saltern.host.registry import Access, Layers, TransferFailed

REFERENCE = "reg.local:5000/saltern/app:1"
ACCESS = Access("reg.local:5000", "me", "s3cret", "PEM")
DIGEST = "sha256:" + "d" * 64


class Api:
    """docker-py's client: answers with prepared streams, remembers the calls."""

    def __init__(self, *streams: list[dict[str, Any]]) -> None:
        self.streams, self.calls = list(streams), []

    def _stream(self, verb: str, repository: str, **how: Any) -> Iterator[dict[str, Any]]:
        self.calls.append((verb, repository, how.get("tag"), how.get("auth_config")))
        return iter(self.streams.pop(0))

    def pull(self, repository: str, **how: Any) -> Iterator[dict[str, Any]]:
        return self._stream("pull", repository, **how)

    def push(self, repository: str, **how: Any) -> Iterator[dict[str, Any]]:
        return self._stream("push", repository, **how)

    def tag(self, image: str, repository: str, tag: str, force: bool) -> None:
        self.calls.append(("tag", image, repository, tag))


class FakeEngine:
    """An engine that has one image under every name, or none."""

    def __init__(self, *streams: list[dict[str, Any]], image: str | None = "sha256:1") -> None:
        self.api, self.image = Api(*streams), image

    def call(self, what: str, do: Any) -> Any:
        return do(self.api)

    def inspect_image(self, reference: str) -> dict[str, Any] | None:
        return {"Id": self.image} if self.image else None


def error(text: str) -> list[dict[str, Any]]:
    return [{"status": "Pulling from saltern/app", "id": "1"}, {"errorDetail": {"message": text}, "error": text}]


def pull(engine: FakeEngine, tmp_path: Path, **how: Any) -> dict[str, Any]:
    how = {"access": ACCESS, "sleep": lambda seconds: None, **how}
    return registry.pull(engine, REFERENCE, how.pop("access"), locks=tmp_path, **how)


def test_by_digest_the_very_image_is_pulled_and_named(tmp_path: Path) -> None:
    engine = FakeEngine([{"status": f"Digest: {DIGEST}"}])
    assert pull(engine, tmp_path, digest=DIGEST, expected="sha256:1") == {"id": "sha256:1", "digest": DIGEST}
    assert engine.api.calls == [
        ("pull", "reg.local:5000/saltern/app", DIGEST, ACCESS.login(REFERENCE)),
        ("tag", f"reg.local:5000/saltern/app@{DIGEST}", "reg.local:5000/saltern/app", "1"),
    ]


def test_without_a_digest_the_tag_counts(tmp_path: Path) -> None:
    engine = FakeEngine([{"status": f"Digest: {DIGEST}"}])
    assert pull(engine, tmp_path) == {"id": "sha256:1", "digest": DIGEST}
    assert [call[:3] for call in engine.api.calls] == [("pull", "reg.local:5000/saltern/app", "1")]


def test_another_image_than_the_one_built_is_not_named(tmp_path: Path) -> None:
    engine = FakeEngine([{"status": f"Digest: {DIGEST}"}])
    with pytest.raises(TransferFailed, match=r"another image .* openstack\.build push=True"):
        pull(engine, tmp_path, digest=DIGEST, expected="sha256:2")
    assert not [call for call in engine.api.calls if call[0] == "tag"]


def test_what_may_pass_is_tried_again_with_growing_pauses(tmp_path: Path) -> None:
    slept: list[float] = []
    refused = error("Get https://reg.local:5000/v2/: dial tcp 10.0.0.1:5000: connect: connection refused")
    engine = FakeEngine(refused, refused, [{"status": f"Digest: {DIGEST}"}])
    assert pull(engine, tmp_path, sleep=slept.append)["id"] == "sha256:1"
    assert slept == [2.0, 4.0]
    with pytest.raises(TransferFailed, match="does not answer"):
        pull(FakeEngine(refused, refused, refused), tmp_path)


@pytest.mark.parametrize(
    ("said", "means"),
    [
        ("Get https://reg.local:5000/v2/x: unauthorized: authentication required", "refuses the user name or password"),
        ("Get https://reg.local:5000/v2/: no basic auth credentials", "refuses the user name or password"),
        (
            "Get https://reg.local:5000/v2/: x509: certificate signed by unknown authority",
            "openstack:images:registry_ca",
        ),
        ("manifest for reg.local:5000/saltern/app:1 not found: manifest unknown", "does not have it"),
        ("http: server gave HTTP response to HTTPS client", "does not speak TLS"),
        ("dial tcp: lookup reg.local on 10.0.0.53:53: no such host", "means no host"),
        ("write /var/lib/docker/tmp/x: no space left on device", "the disk is full"),
    ],
)
def test_what_stays_wrong_is_told_at_once(tmp_path: Path, said: str, means: str) -> None:
    engine = FakeEngine(error(said))
    with pytest.raises(TransferFailed, match=means) as caught:
        pull(engine, tmp_path)
    assert str(caught.value).startswith(f"{REFERENCE}: ")
    assert len(engine.api.calls) == 1


def test_a_password_is_shown_to_its_own_registry_only() -> None:
    assert ACCESS.login(REFERENCE) == {"username": "me", "password": "s3cret", "serveraddress": "reg.local:5000"}
    assert ACCESS.login("other.local:5000/saltern/app:1") is None
    assert Access("reg.local:5000").login(REFERENCE) is None, "the engine's own docker login counts"
    assert "s3cret" not in repr(ACCESS)


def test_a_name_without_registry_is_never_asked_for(tmp_path: Path) -> None:
    engine = FakeEngine()
    with pytest.raises(TransferFailed, match="no registry"):
        registry.pull(engine, "saltern/app:1", ACCESS, locks=tmp_path)
    with pytest.raises(TransferFailed, match="no registry"):
        registry.push(engine, "saltern/app:1", ACCESS)
    assert engine.api.calls == []


def test_push_counts_the_layers_that_were_new() -> None:
    stream = [
        {"status": "Preparing", "id": "a"},
        {"status": "Pushing", "id": "a", "progressDetail": {"current": 5, "total": 10}},
        {"status": "Pushed", "id": "a"},
        {"status": "Layer already exists", "id": "b"},
        {"aux": {"Tag": "1", "Digest": DIGEST, "Size": 7}},
    ]
    told: list[dict[str, Any]] = []
    assert registry.push(FakeEngine(stream), REFERENCE, ACCESS, report=told.append) == {
        "digest": DIGEST,
        "layers_pushed": 1,
    }
    assert told[-1] == {"layers": 2, "done": 2, "bytes": 10, "of": 10}
    with pytest.raises(ImageMissing, match="not on this host"):
        registry.push(FakeEngine(image=None), REFERENCE, ACCESS)


def test_progress_of_a_pull() -> None:
    layers = Layers()
    layers.feed({"status": "Pulling from saltern/app", "id": "1"})
    assert layers.as_dict()["layers"] == 0, "the tag is no layer"
    layers.feed({"status": "Pulling fs layer", "id": "a", "progressDetail": {}})
    layers.feed({"status": "Downloading", "id": "a", "progressDetail": {"current": 3, "total": 8}})
    layers.feed({"status": "Already exists", "id": "b", "progressDetail": {}})
    assert layers.as_dict() == {"layers": 2, "done": 1, "bytes": 3, "of": 8}
    layers.feed({"status": "Download complete", "id": "a", "progressDetail": {}})
    layers.feed({"status": "Extracting", "id": "a", "progressDetail": {"current": 1, "total": 8}})
    assert layers.as_dict() == {"layers": 2, "done": 1, "bytes": 8, "of": 8}
    layers.feed({"status": "Pull complete", "id": "a", "progressDetail": {}})
    assert layers.as_dict()["done"] == 2


def test_the_authority_is_written_where_it_differs(tmp_path: Path) -> None:
    assert registry.trust(ACCESS, tmp_path) is True
    path = tmp_path / "reg.local:5000/ca.crt"
    assert path.read_text() == "PEM\n"
    assert path.stat().st_mode & 0o777 == 0o644
    assert registry.trust(ACCESS, tmp_path) is False
    assert registry.trust(Access("reg.local:5000"), tmp_path) is False
    assert registry.trust(Access("reg.local:5000/path", ca="OTHER"), tmp_path) is True
    assert path.read_text() == "OTHER\n"
    assert [each.name for each in path.parent.iterdir()] == ["ca.crt"]


def test_access_out_of_a_slice() -> None:
    assert registry.access_from({}) == Access()
    given = {"address": "reg.local:5000/x", "username": None, "password": None, "ca": None}
    assert registry.access_from({"registry": given}) == Access("reg.local:5000/x")
    assert registry.access_from({"registry": given}).host == "reg.local:5000"
