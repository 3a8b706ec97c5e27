"""What Saltern adds to somebody else's Salt, and that nothing of theirs is hidden by it."""

from typing import Any

import pytest

from saltern.host import settings

CHECKOUT, STATE = "/srv/saltern", "/var/lib/saltern/master"


def effective(main: dict[str, Any], *included: dict[str, Any]) -> dict[str, Any]:
    """The configuration as Salt makes it: included files joined with each other, then put over the main file."""
    import salt.utils.dictupdate

    joined: dict[str, Any] = {}
    for each in included:
        salt.utils.dictupdate.update(joined, each, True, True)
    return {**main, **joined}


def test_a_bare_master_gets_all_it_needs() -> None:
    made = settings.master(CHECKOUT, STATE, {}, {})
    assert made["file_roots"] == {
        "base": ["/srv/saltern/states", "/srv/saltern/salt"],
        "saltern_build": ["/var/lib/saltern/master/build-contexts"],
        "saltern_bundle": ["/var/lib/saltern/master/bundles-served"],
    }
    assert made["module_dirs"] == ["/srv/saltern/salt"]
    assert made["ext_pillar"] == [{"openstack": {}}]
    assert made["engines"] == [{"openstack_recovery": {}}]
    assert made["reactor"] == [
        {"openstack/health/*/*/failed": ["salt://openstack/reactor/failed.sls"]},
        {"openstack/health/*/nova_compute/healthy": ["salt://openstack/reactor/healthy.sls"]},
    ]
    assert made["gather_job_timeout"] == 60 and made["fileserver_list_cache_time"] == 0


def test_neither_the_checkout_nor_the_pillar_is_published() -> None:
    roots = settings.master(CHECKOUT, STATE, {}, {})["file_roots"]
    paths = [path for found in roots.values() for path in found]
    assert CHECKOUT not in paths and not any("pillar" in path for path in paths)


THEIRS = {
    "file_roots": {"base": ["/srv/formulas"], "dev": ["/srv/dev"]},
    "ext_pillar": [{"vault": "path"}],
    "engines": [{"slack": {"token": "x"}}],
    "reactor": [{"salt/auth": ["/srv/reactor/auth.sls"]}],
    "module_dirs": ["/srv/modules"],
}


def test_what_the_main_file_says_stays_in_effect() -> None:
    now = effective(THEIRS, settings.master(CHECKOUT, STATE, THEIRS, {}))
    for key in ("ext_pillar", "engines", "reactor", "module_dirs"):
        assert now[key][0] == THEIRS[key][0] and len(now[key]) == (3 if key == "reactor" else 2)  # type: ignore[index]
    assert now["file_roots"]["base"] == ["/srv/formulas", "/srv/saltern/states", "/srv/saltern/salt"]
    assert now["file_roots"]["dev"] == ["/srv/dev"]


def test_what_another_file_hides_stays_hidden() -> None:
    """That file's lists are joined with ours by Salt itself; the main file's must not come back through us."""
    other = {"ext_pillar": [{"git": "x"}], "file_roots": {"base": ["/srv/new"]}}
    now = effective(THEIRS, other, settings.master(CHECKOUT, STATE, THEIRS, other))
    assert now["ext_pillar"] == [{"git": "x"}, {"openstack": {}}]
    assert now["file_roots"]["base"] == ["/srv/new", "/srv/saltern/states", "/srv/saltern/salt"]


def test_ours_is_not_repeated_where_they_have_it() -> None:
    first = settings.master(CHECKOUT, STATE, {}, {})
    again = settings.master(CHECKOUT, STATE, first, {})
    assert {key: again[key] for key in THEIRS} == {key: first[key] for key in THEIRS}


def test_an_engine_they_configured_keeps_its_settings() -> None:
    main = {"engines": [{"openstack_health": {"interval": 5}}]}
    assert settings.minion("c0de", main, {})["engines"] == [{"openstack_health": {"interval": 5}}]
    assert settings.minion("c0de", {"engines": ["openstack_health"]}, {})["engines"] == ["openstack_health"]


def test_a_reaction_of_theirs_that_has_ours_is_enough() -> None:
    tag = "openstack/health/*/*/failed"
    theirs = [{tag: ["salt://openstack/reactor/failed.sls", "salt://mine/page.sls"]}]
    now = settings.master(CHECKOUT, STATE, {"reactor": theirs}, {})["reactor"]
    assert [tag in item for item in now] == [True, False]
    other = [{tag: ["salt://mine/page.sls"]}]
    assert len(settings.master(CHECKOUT, STATE, {"reactor": other}, {})["reactor"]) == 3


@pytest.mark.parametrize("where", ["main", "others"])
def test_a_value_they_set_is_theirs(where: str) -> None:
    files: dict[str, dict[str, Any]] = {"main": {}, "others": {}}
    files[where] = {"gather_job_timeout": 300, "tcp_keepalive": False}
    made = settings.master(CHECKOUT, STATE, files["main"], files["others"])
    assert "gather_job_timeout" not in made and "tcp_keepalive" not in made
    assert made["zmq_heartbeat_ivl"] == 2000


def test_new_code_of_the_engine_is_a_new_digest() -> None:
    digests = {settings.minion(code, {}, {})["saltern_setup"] for code in ("a", "b", "a")}
    assert len(digests) == 2


def test_a_file_read_later_is_found_out() -> None:
    made = settings.master(CHECKOUT, STATE, {}, {})
    good = effective({}, made)
    assert settings.not_in_effect(made, good) == []
    assert settings.not_in_effect(made, {**good, "ext_pillar": [{"git": "x"}], "saltern_setup": "0"}) == [
        "ext_pillar",
        "saltern_setup",
    ]
    assert settings.not_in_effect(made, {**good, "file_roots": {"base": ["/x"]}}) == ["file_roots"]
