"""Sockets need short paths; keys need private directories."""

from pathlib import Path

from allinone.layout import LONGEST_SOCKET_DIR, Layout


def test_sockets_lie_in_the_checkout_where_its_path_is_short() -> None:
    assert Layout(Path("/srv/saltern")).run == Path("/srv/saltern/.saltern/run")


def test_a_long_checkout_gets_a_short_alias_of_its_own() -> None:
    long = Layout(Path("/home/somebody/" + "deep/" * 12 + "saltern"))
    other = Layout(Path("/home/somebody/" + "deep/" * 12 + "saltern2"))
    assert len(str(long.run)) <= LONGEST_SOCKET_DIR
    assert long.root != other.root


def test_directories_with_keys_are_private(layout: Layout) -> None:
    layout.make()
    layout.make()
    assert [oct(path.stat().st_mode & 0o777) for path in (layout.config, layout.pki)] == ["0o700", "0o700"]
    layout.root.unlink(missing_ok=True) if layout.root.is_symlink() else None
