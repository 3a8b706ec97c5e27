"""The host's side: one exec for a request, jobs under a lease, and what a killed run left."""

import json
from pathlib import Path
from typing import Any

import pytest

from saltern.contract.errors import ImageMissing, JobFailed, LockHeld, ToolboxFailed
from saltern.host import batch, files, jobs, spec, toolbox
from saltern.host.lock import ContainerLock
from unit.toolbox import fakes

NAME = "keystone--db_sync"


@pytest.fixture
def engine() -> fakes.Engine:
    return fakes.Engine(fakes.agreeable)


@pytest.fixture
def host(engine: fakes.Engine, tmp_path: Path) -> Any:
    return fakes.host(engine, tmp_path)


def order(**more: Any) -> jobs.Order:
    return jobs.Order(**{"job": fakes.JOB, "image_id": "sha256:a", "holder": "ctl1/r1", **more})


def run(host: Any, **more: Any) -> dict[str, Any]:
    return jobs.run(host, fakes.PART["batch"], order(**more))  # type: ignore[arg-type]


def test_a_request_is_one_exec_with_the_secrets_on_stdin(engine: fakes.Engine) -> None:
    toolbox.call(engine, {"action": "compare", "services": {}, "database": {"password": fakes.SECRET}})
    assert engine.calls == ["compare"]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ((1, b"", b"Traceback: s3cret-value"), r"ended with 1: Traceback: \*{8}"),
        ((0, b"not json s3cret-value", b""), "not JSON of the agreed form"),
        ((0, b"[]", b""), "not JSON of the agreed form"),
    ],
)
def test_a_program_that_cannot_work_is_an_error_without_secrets(
    engine: fakes.Engine, answer: Any, expected: str
) -> None:
    engine.answer = lambda _request: answer
    with pytest.raises(ToolboxFailed, match=expected) as caught:
        toolbox.call(engine, {"action": "compare", "password": fakes.SECRET})
    assert fakes.SECRET not in str(caught.value)


def test_a_toolbox_that_does_not_run_is_named(engine: fakes.Engine) -> None:
    engine.running = False
    with pytest.raises(ToolboxFailed, match=r"kolla_toolbox: the toolbox does not run.*openstack\.deploy"):
        toolbox.call(engine, {"action": "compare"})


def test_errors_in_the_answer_to_a_change_are_errors(engine: fakes.Engine) -> None:
    engine.answer = lambda _request: {"services": {}, "errors": [f"database refused {fakes.SECRET}"]}
    with pytest.raises(ToolboxFailed, match=r"keystone: database refused \*+"):
        toolbox.change(engine, {"service": "keystone", "action": "apply", "password": fakes.SECRET})


def test_a_change_gets_the_secrets_of_its_service_only() -> None:
    request = toolbox.part_of(fakes.PART["batch"], "apply", "keystone", part="database")  # type: ignore[arg-type]
    assert "other-secret" not in json.dumps(request)
    with pytest.raises(ToolboxFailed, match="glance, keystone"):
        toolbox.part_of(fakes.PART["batch"], "apply", "nova")  # type: ignore[arg-type]


def test_a_job_runs_once_and_leaves_nothing(host: Any, engine: fakes.Engine, tmp_path: Path) -> None:
    assert run(host)["result"] == "ran"
    steps = ["job_begin", f"create {NAME}", f"start {NAME}", f"wait {NAME} 30", "job_end", f"remove {NAME}"]
    assert engine.calls == steps
    assert engine.requests[-1]["result"] == "ok"
    assert engine.there == {} and not (tmp_path / "config" / NAME).exists()


def test_a_jobs_container_is_labelled_and_never_restarts(host: Any, engine: fakes.Engine) -> None:
    bodies = []
    create = engine.create
    engine.create = lambda name, body: (bodies.append(body), create(name, body))[1]  # type: ignore[method-assign]
    run(host)
    (body,) = bodies
    assert body["Labels"]["saltern.job"] == "db_sync" and body["HostConfig"]["RestartPolicy"] == {"Name": "no"}
    assert fakes.SECRET not in json.dumps(body)


def test_the_lease_outlasts_the_job(host: Any, engine: fakes.Engine) -> None:
    run(host)
    assert engine.requests[0]["lease"] == {"holder": "ctl1/r1", "seconds": 90, "force": False}
    assert engine.requests[0]["services"]["keystone"] == {
        "jobs": [{"name": "db_sync", "input": "i1", "image_id": "sha256:a"}]
    }


def answer_begin(engine: fakes.Engine, **fields: Any) -> None:
    def answer(request: dict[str, Any]) -> Any:
        return {"services": {"keystone": {"job": fields}}, "errors": []}

    engine.answer = answer


def test_a_recorded_success_is_not_repeated(host: Any, engine: fakes.Engine) -> None:
    answer_begin(engine, begin="done")
    assert run(host)["result"] == "done"
    assert engine.calls == ["job_begin"]


def test_a_job_of_another_host_is_left_to_it(host: Any, engine: fakes.Engine) -> None:
    answer_begin(engine, begin="held", holder="ctl2/r9", until="2026-01-01 00:00:00")
    with pytest.raises(JobFailed, match="ctl2/r9 runs it, until 2026-01-01"):
        run(host)
    assert engine.calls == ["job_begin"]


def test_a_failing_job_shows_its_log_without_secrets_and_is_recorded(host: Any, engine: fakes.Engine) -> None:
    engine.ends = 3
    with pytest.raises(JobFailed) as caught:
        run(host)
    assert str(caught.value).splitlines() == [
        "job keystone db_sync: ended with exit code 3",
        "  last log:",
        "  one",
        "  two ********",
    ]
    assert engine.requests[-1]["result"] == "failed" and engine.there == {}


def test_a_job_that_does_not_end_is_stopped(host: Any, engine: fakes.Engine) -> None:
    engine.ends = None
    with pytest.raises(JobFailed, match="still ran after 30 s"):
        run(host)
    assert engine.there == {} and engine.requests[-1]["result"] == "failed"


def leftover(host: Any, engine: fakes.Engine, *, running: bool, image: str = "sha256:a") -> None:
    config = files.write(host.store.config, fakes.JOB_SPEC)
    body = spec.body(fakes.JOB_SPEC, image, config, job="db_sync")
    engine.there[NAME] = {"Config": {"Labels": body["Labels"]}, "State": {"Running": running}}


def test_a_leftover_that_still_does_this_very_job_is_waited_for(host: Any, engine: fakes.Engine) -> None:
    leftover(host, engine, running=True)
    assert run(host)["result"] == "ran"
    assert engine.calls == ["job_begin", f"wait {NAME} 30", "job_end", f"remove {NAME}"]


def test_a_leftover_that_has_ended_is_removed_first(host: Any, engine: fakes.Engine) -> None:
    leftover(host, engine, running=False)
    run(host)
    assert engine.calls[:3] == [f"remove {NAME}", "job_begin", f"create {NAME}"]


def test_a_leftover_with_another_image_ends_before_ours_begins(host: Any, engine: fakes.Engine) -> None:
    leftover(host, engine, running=True, image="sha256:other")
    run(host)
    assert engine.calls[:4] == [f"wait {NAME} 30", f"remove {NAME}", "job_begin", f"create {NAME}"]


def test_somebody_elses_container_of_that_name_is_not_touched(host: Any, engine: fakes.Engine) -> None:
    engine.there[NAME] = {"Config": {"Labels": {}}, "State": {"Running": True}}
    with pytest.raises(JobFailed, match="is no job"):
        run(host)
    assert NAME in engine.there


def test_a_killed_wait_leaves_the_container_for_the_next_run(host: Any, engine: fakes.Engine) -> None:
    def killed(_name: str, _timeout: float) -> int:
        raise KeyboardInterrupt

    wait, engine.wait = engine.wait, killed  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        run(host)
    engine.wait = wait  # type: ignore[method-assign]
    assert run(host, holder="ctl1/r2")["result"] == "ran"
    assert engine.calls.count(f"create {NAME}") == 1


def test_two_at_once_on_one_host_are_refused(host: Any, engine: fakes.Engine) -> None:
    with ContainerLock(host.store.locks, NAME, "job"), pytest.raises(LockHeld):
        run(host)
    assert engine.calls == []


def test_a_missing_image_names_the_command_that_builds_it(host: Any, engine: fakes.Engine) -> None:
    with pytest.raises(ImageMissing, match="names=keystone"):
        run(host, image_id=None)
    assert engine.calls == []


def test_compare_is_one_exec_and_says_only_what_is_due(host: Any, engine: fakes.Engine) -> None:
    assert batch.compare(host, fakes.PART, fakes.IMAGES) == {"services": {}, "errors": []}
    assert engine.calls == ["compare"]
    assert engine.requests[0]["services"]["keystone"]["jobs"] == [
        {"name": "db_sync", "input": "i1", "image_id": "sha256:a"},
        {"name": "map", "input": "i1", "image_id": "sha256:a"},
    ]


def test_without_a_toolbox_everything_is_due(host: Any, engine: fakes.Engine) -> None:
    engine.running = False
    found = batch.compare(host, fakes.PART, {})
    assert found["services"]["keystone"]["jobs_due"] == ["db_sync", "map"]
    assert [c["what"] for c in found["services"]["glance"]["database"]] == ["unknown"]
    assert "does not run" in found["errors"][0]


def test_a_host_without_a_batch_has_nothing_to_compare(host: Any, engine: fakes.Engine) -> None:
    assert batch.compare(host, {"batch": None}, {}) == {"services": {}, "errors": []}
    assert engine.calls == []
    with pytest.raises(ToolboxFailed, match="not the toolbox host"):
        batch.prepare(host, {"host": "ctl2"}, {}, "keystone", "ctl2/r")


def test_prepare_is_databases_then_the_jobs_before_the_start(host: Any, engine: fakes.Engine) -> None:
    changes = batch.prepare(host, fakes.PART, fakes.IMAGES, "keystone", "ctl1/r1")
    assert changes["database"][0]["what"] == "create" and [job["name"] for job in changes["jobs"]] == ["db_sync"]
    assert engine.calls[0] == "apply" and engine.requests[0]["part"] == "database"


def test_register_is_identity_then_the_jobs_after_the_start(host: Any, engine: fakes.Engine) -> None:
    changes = batch.register(host, fakes.PART, fakes.IMAGES, "keystone", "ctl1/r1")
    assert list(changes) == ["identity", "jobs"] and [job["name"] for job in changes["jobs"]] == ["map"]


def test_a_service_without_identity_is_not_asked_about(host: Any, engine: fakes.Engine) -> None:
    assert batch.register(host, fakes.PART, fakes.IMAGES, "glance", "ctl1/r1") == {}
    assert engine.calls == []


def test_one_job_on_demand(host: Any, engine: fakes.Engine) -> None:
    batch.run_job(host, fakes.PART, fakes.IMAGES, "keystone", "map", "ctl1/by-hand", force=True)
    assert engine.requests[0]["lease"]["force"] is True
    with pytest.raises(ToolboxFailed, match="no job drop"):
        batch.run_job(host, fakes.PART, fakes.IMAGES, "keystone", "drop", "ctl1/by-hand", force=True)
