"""The toolbox program with a database and a Keystone in memory."""

import io
import json
from typing import Any

import pytest
from saltern_toolbox import database, jobs, main, report

from unit.toolbox import program

SECRET = "s3cr3t/&value"
SERVICES = {
    "keystone": {
        "databases": [{"name": "keystone", "user": "keystone", "password": SECRET}],
        "identity": {
            "projects": ["service"],
            "roles": ["service"],
            "users": [],
            "services": [
                {
                    "name": "keystone",
                    "type": "identity",
                    "description": "Identity",
                    "endpoints": {"public": "http://v:5000/v3"},
                }
            ],
        },
        "jobs": [{"name": "db_sync", "input": "i1", "image_id": "sha256:a"}],
    },
    "glance": {
        "databases": [{"name": "glance_api", "user": "glance", "password": SECRET}],
        "identity": {
            "projects": [],
            "roles": [],
            "users": [{"name": "glance", "password": SECRET, "project": "service", "roles": ["admin", "service"]}],
            "services": [],
        },
        "jobs": [],
    },
}


@pytest.fixture
def server() -> program.Server:
    return program.Server()


@pytest.fixture
def keystone() -> program.Keystone:
    return program.Keystone()


@pytest.fixture
def ask(server: program.Server, keystone: program.Keystone) -> Any:
    """Send a request to the program; the answer."""

    def send(action: str, **more: Any) -> dict[str, Any]:
        identity = {"auth_url": "http://v:5000/v3", "user": "admin", "password": SECRET, "domain": "Default"}
        request = {
            "action": action,
            "database": {"host": "v", "port": 3306, "user": "saltern", "password": SECRET},
            "identity": {**identity, "project": "admin", "region": "RegionOne"},
            "services": SERVICES,
            **more,
        }
        return run(request, {"database": lambda _where: server, "identity": lambda _where: keystone})

    return send


def run(request: dict[str, Any], connect: Any) -> dict[str, Any]:
    out = io.StringIO()
    assert main.main(io.BytesIO(json.dumps(request).encode()), out, connect) == 0
    answer = json.loads(out.getvalue())
    assert SECRET not in out.getvalue()
    return dict(answer)


def apply_all(ask: Any) -> list[Any]:
    parts = [(name, part) for name in SERVICES for part in ("database", "identity")]
    answers = [ask("apply", service=name, part=part) for name, part in parts]
    assert not [error for answer in answers for error in answer["errors"]]
    return [answer["services"][name][part] for answer, (name, part) in zip(answers, parts, strict=True)]


def test_compare_on_an_empty_cloud_says_everything_is_due_and_writes_nothing(
    ask: Any, server: Any, keystone: Any
) -> None:
    answer = ask("compare")
    assert answer["errors"] == []
    assert kinds(answer["services"]["keystone"]["database"]) == ["database create", "user create", "grant create"]
    assert answer["services"]["keystone"]["jobs_due"] == ["db_sync"]
    assert kinds(answer["services"]["glance"]["identity"]) == [
        "project create",
        "role create",
        "user create",
        "assignment create",
        "assignment create",
    ]
    assert server.writes == 0 and keystone.writes == []


def test_what_compare_promises_is_what_apply_does(ask: Any) -> None:
    before = ask("compare")["services"]
    changed = apply_all(ask)
    assert changed[0] == before["keystone"]["database"]
    assert changed[1] == before["keystone"]["identity"]


def test_after_apply_nothing_differs_and_applying_again_writes_nothing(ask: Any, server: Any, keystone: Any) -> None:
    apply_all(ask)
    written = (server.writes, len(keystone.writes))
    answer = ask("compare")["services"]
    assert [part for entry in answer.values() for part in (entry["database"], entry["identity"]) if part] == []
    assert apply_all(ask) == [[], [], [], []]
    assert (server.writes, len(keystone.writes)) == written


def test_no_statement_carries_a_password(ask: Any, server: Any) -> None:
    apply_all(ask)
    assert server.users["glance"][1] == database.native_hash(SECRET)
    assert not [sql for sql in server.statements if SECRET in sql]


def test_a_changed_database_password_is_found_and_put_right(ask: Any, server: Any) -> None:
    apply_all(ask)
    server.users["glance"] = ("mysql_native_password", database.native_hash("old"))
    assert ask("compare")["services"]["glance"]["database"] == [report.change("user", "glance", "update", "password")]
    ask("apply", service="glance", part="database")
    assert ask("compare")["services"]["glance"]["database"] == []


def test_a_missing_right_is_found(ask: Any, server: Any) -> None:
    apply_all(ask)
    server.grants["glance"].clear()
    assert kinds(ask("compare")["services"]["glance"]["database"]) == ["grant create"]


def test_underscores_in_names_of_databases_are_no_wildcards(ask: Any, server: Any) -> None:
    apply_all(ask)
    assert server.grants["glance"] == [r"GRANT ALL PRIVILEGES ON `glance\_api`.* TO `glance`@`%`"]


@pytest.mark.parametrize(
    ("kind", "fields", "expected"),
    [
        ("users", {"password": "old"}, ["user update password"]),
        ("users", {"enabled": False}, ["user update enabled", "user update password"]),
        ("endpoints", {"url": "http://old"}, ["endpoint update url"]),
        ("endpoints", {"enabled": False}, ["endpoint update enabled"]),
        ("services", {"description": "x"}, ["service update description"]),
        ("services", {"enabled": False}, ["service update enabled"]),
    ],
)
def test_only_what_differs_in_keystone_is_changed(
    ask: Any, keystone: Any, kind: str, fields: dict[str, Any], expected: list[str]
) -> None:
    apply_all(ask)
    keystone.things[kind][0].update(fields)
    found = [c for entry in ask("compare")["services"].values() for c in entry["identity"]]
    assert [f"{c['kind']} {c['what']} {c['field']}" for c in found] == expected
    done = len(keystone.writes)
    apply_all(ask)
    assert len(keystone.writes) == done + 1


def test_a_lost_role_is_assigned_again(ask: Any, keystone: Any) -> None:
    apply_all(ask)
    keystone.assignments.pop()
    assert kinds(ask("compare")["services"]["glance"]["identity"]) == ["assignment create"]
    apply_all(ask)
    assert len(keystone.assignments) == 2


def test_a_second_endpoint_of_one_kind_goes(ask: Any, keystone: Any) -> None:
    apply_all(ask)
    keystone.things["endpoints"].append({**keystone.things["endpoints"][0], "id": "double", "url": "http://elsewhere"})
    assert kinds(ask("apply", service="keystone", part="identity")["services"]["keystone"]["identity"]) == [
        "endpoint delete"
    ]
    assert [e["url"] for e in keystone.things["endpoints"]] == ["http://v:5000/v3"]


def test_endpoints_of_another_region_are_left_alone(ask: Any, keystone: Any) -> None:
    apply_all(ask)
    keystone.things["endpoints"][0]["region_id"] = "Elsewhere"
    assert kinds(ask("apply", service="keystone", part="identity")["services"]["keystone"]["identity"]) == [
        "endpoint create"
    ]
    assert len(keystone.things["endpoints"]) == 2


def unreachable(_where: Any) -> Any:
    raise report.Unreachable(f"database unreachable: refused for {SECRET}")


def test_compare_without_a_database_counts_everything_as_due_and_masks(keystone: Any) -> None:
    request = {
        "action": "compare",
        "database": {"password": SECRET},
        "identity": {"domain": "Default", "region": "RegionOne"},
        "services": SERVICES,
    }
    answer = run(request, {"database": unreachable, "identity": lambda _where: keystone})
    assert answer["errors"] == ["database unreachable: refused for ********"]
    assert answer["services"]["keystone"]["database"] == [report.change("database", "keystone", "unknown")]
    assert answer["services"]["keystone"]["jobs_due"] == ["db_sync"]
    assert kinds(answer["services"]["glance"]["identity"])[-1] == "assignment create"


def test_compare_without_keystone_counts_its_part_as_due(server: Any) -> None:
    request = {"action": "compare", "database": {}, "identity": {"domain": "D", "region": "R"}, "services": SERVICES}
    answer = run(request, {"database": lambda _where: server, "identity": unreachable})
    assert {name: kinds(entry["identity"]) for name, entry in answer["services"].items()} == {
        "keystone": ["identity unknown"],
        "glance": ["identity unknown"],
    }


def test_applying_waits_for_what_is_just_starting_and_not_for_ever() -> None:
    now, tries = [0.0], []

    def connect(_where: Any) -> Any:
        tries.append(now[0])
        raise report.Unreachable("database unreachable: refused")

    def sleep(seconds: float) -> None:
        now[0] += seconds

    request = {
        "action": "apply",
        "service": "glance",
        "part": "database",
        "database": {},
        "services": SERVICES,
        "wait": 5,
    }
    work = main.Work(request, {"database": connect}, sleep=sleep, clock=lambda: now[0])
    with pytest.raises(report.Unreachable):
        work.do()
    assert tries == [0, 1, 2, 3, 4, 5]


def test_a_wrong_password_is_not_waited_for() -> None:
    def connect(_where: Any) -> Any:
        raise report.Failed("database refused: Access denied (1045)")

    request = {"action": "apply", "service": "glance", "part": "database", "database": {}, "services": SERVICES}
    assert run(request, {"database": connect})["errors"] == ["database refused: Access denied (1045)"]


def test_an_unforeseen_error_is_an_answer_without_secrets() -> None:
    def connect(_where: Any) -> Any:
        raise RuntimeError(f"password={SECRET}")

    request = {
        "action": "apply",
        "service": "glance",
        "part": "database",
        "database": {"password": SECRET},
        "services": SERVICES,
    }
    assert run(request, {"database": connect})["errors"] == ["toolbox failed: RuntimeError: password=********"]


@pytest.mark.parametrize("text", [b"", b"[]", b"{}", b'{"action": "drop", "password": "hush-hush"}'])
def test_what_is_no_request_is_refused_without_quoting_it(text: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(io.BytesIO(text), io.StringIO(), {}) == 2
    assert "not a request" in (shown := capsys.readouterr().err) and "hush" not in shown


def job_request(ask: Any, action: str, holder: str = "ctl1/r1", **more: Any) -> Any:
    job = {"name": "db_sync", "input": more.pop("input", "i1"), "image_id": "sha256:a"}
    lease = {"holder": holder, "seconds": 100, "force": more.pop("force", False)}
    answer = ask(action, service="keystone", lease=lease, services={"keystone": {"jobs": [job]}}, **more)
    return answer["errors"] or answer["services"]["keystone"]["job"]


def test_a_job_is_due_until_its_success_is_recorded(ask: Any) -> None:
    assert job_request(ask, "job_begin")["begin"] == "run"
    assert ask("compare")["services"]["keystone"]["jobs_due"] == ["db_sync"]
    assert job_request(ask, "job_end", result="ok") == {"ended": "ok"}
    assert ask("compare")["services"]["keystone"]["jobs_due"] == []
    assert job_request(ask, "job_begin") == {"begin": "done"}
    assert job_request(ask, "job_begin", force=True)["begin"] == "run"


def test_a_job_with_other_input_is_due_again(ask: Any) -> None:
    job_request(ask, "job_begin")
    job_request(ask, "job_end", result="ok")
    assert job_request(ask, "job_begin", input="i2")["begin"] == "run"


def test_a_failed_job_stays_due_and_gives_its_lease_back(ask: Any) -> None:
    job_request(ask, "job_begin")
    job_request(ask, "job_end", result="failed")
    assert ask("compare")["services"]["keystone"]["jobs_due"] == ["db_sync"]
    assert job_request(ask, "job_begin", holder="ctl2/r2")["begin"] == "run"


def test_one_host_holds_the_lease_until_it_ends(ask: Any, server: Any) -> None:
    job_request(ask, "job_begin")
    assert job_request(ask, "job_begin", holder="ctl2/r2") == {"begin": "held", "holder": "ctl1/r1", "until": "1100"}
    server.now += 101
    assert job_request(ask, "job_begin", holder="ctl2/r2")["begin"] == "run"
    assert "lease lost" in job_request(ask, "job_end", result="ok")[0]


def test_the_same_host_takes_its_own_lease_over(ask: Any) -> None:
    job_request(ask, "job_begin", holder="ctl1/killed")
    assert job_request(ask, "job_begin", holder="ctl1/again")["begin"] == "run"


def test_a_restored_database_is_migrated_again(ask: Any, server: Any) -> None:
    job_request(ask, "job_begin")
    job_request(ask, "job_end", result="ok")
    server.jobs = None  # the record went with the data
    assert ask("compare")["services"]["keystone"]["jobs_due"] == ["db_sync"]


def test_secrets_are_masked_in_their_quoted_form_too() -> None:
    found = report.secrets_of({"a": [{"password": SECRET}]})
    assert report.mask({"x": ["url s3cr3t%2F%26value end"]}, found) == {"x": ["url ******** end"]}


def test_jobs_are_compared_by_image_and_input() -> None:
    wanted = [{"name": "a", "image_id": "1", "input": "x"}, {"name": "b", "image_id": "1", "input": "x"}]
    assert jobs.due("s", wanted, {("s", "a"): ("1", "x"), ("s", "b"): ("2", "x")}) == ["b"]


def kinds(changes: list[dict[str, Any]]) -> list[str]:
    return [f"{change['kind']} {change['what']}" for change in changes]
