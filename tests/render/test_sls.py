"""Every SLS, rendered under its declared contexts with strict undefined: it parses, and what it names exists."""

from __future__ import annotations

import ast
import json
from functools import cache
from pathlib import Path
from typing import Any

import jinja2
import pytest
import salt.state
import salt.states
import yaml

from .contexts import CONTEXTS, plan

CHECKOUT = Path(__file__).resolve().parents[2]
STATES = CHECKOUT / "states"
OURS = CHECKOUT / "salt" / "_states"
SALTS = Path(salt.states.__file__).parent
ALIASES = {"salt": "saltmod"}
REQUISITES = {"require", "require_any", "onfail", "onchanges", "watch"}
KEYWORDS = set(salt.state.STATE_INTERNAL_KEYWORDS) | REQUISITES
FILES = sorted(
    str(path.relative_to(STATES / "openstack"))
    for path in (STATES / "openstack").rglob("*.sls")
    if "services" not in path.relative_to(STATES / "openstack").parts
)
# These keep to Salt's own functions and run their function by name, with arguments of that function.
FREE = {("salt", "function"), ("salt", "runner")}


class NoDuplicates(yaml.SafeLoader):
    """YAML in which a key that comes twice is an error, as in Salt."""


def _mapping(loader: NoDuplicates, node: yaml.MappingNode) -> dict[Any, Any]:
    keys = [loader.construct_object(key) for key, _ in node.value]
    assert len(keys) == len(set(keys)), f"a state id comes twice: {[key for key in keys if keys.count(key) > 1]}"
    return loader.construct_mapping(node, deep=True)


NoDuplicates.add_constructor("tag:yaml.org,2002:map", _mapping)


def render(file: str, context: dict[str, Any]) -> dict[str, Any]:
    environment = jinja2.Environment(
        undefined=jinja2.StrictUndefined, loader=jinja2.FileSystemLoader(STATES), extensions=["jinja2.ext.do"]
    )
    environment.filters["json"] = lambda value: json.dumps(value)
    text = environment.get_template(f"openstack/{file}").render(**context)
    found = yaml.load(text, NoDuplicates)
    assert isinstance(found, dict), text
    return found


def cases() -> list[Any]:
    return [
        pytest.param(file, context, id=f"{file}-{name}")
        for file, contexts in CONTEXTS.items()
        for name, context in contexts()
    ]


def test_every_sls_has_declared_contexts() -> None:
    assert sorted(CONTEXTS) == FILES


@pytest.mark.parametrize(("file", "context"), cases())
def test_renders_and_names_what_exists(file: str, context: dict[str, Any]) -> None:
    found = render(file, context)
    if file.startswith("reactor/"):
        return _check_reaction(found)
    names: set[tuple[str, str]] = set()
    requisites: list[tuple[str, str]] = []
    for state_id, body in found.items():
        assert len(body) == 1, f"{state_id}: one function each"
        for function, arguments in body.items():
            module, name = function.split(".")
            given = {key: value for argument in arguments or [] for key, value in argument.items()}
            _check_arguments(module, name, given)
            names |= {(module, state_id), (module, str(given.get("name", state_id)))}
            for key in REQUISITES & set(given):
                requisites += [next(iter(needed.items())) for needed in given[key]]
            _check_sls(given.get("sls"))
    missing = [needed for needed in requisites if tuple(needed) not in names]
    assert not missing


def _check_arguments(module: str, name: str, given: dict[str, Any]) -> None:
    if (module, name) in FREE:
        return
    known, open_ended = functions(module)[name]
    unknown = set(given) - known - KEYWORDS - {"name"}
    assert open_ended or not unknown, f"{module}.{name} takes no {unknown}"


def _check_sls(sls: str | None) -> None:
    if sls:
        path = STATES / sls.replace(".", "/")
        assert path.with_suffix(".sls").exists() or (path / "init.sls").exists(), sls


def _check_reaction(found: dict[str, Any]) -> None:
    for body in found.values():
        for function in body:
            kind, module, name = function.split(".")
            assert kind == "runner"
            verbs = set()
            for path in (CHECKOUT / "salt" / "_runners").glob(f"{module}*.py"):  # several files are one runner
                verbs |= {
                    n.name for n in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(n, ast.FunctionDef)
                }
            assert name in verbs


@cache
def functions(module: str) -> dict[str, tuple[set[str], bool]]:
    """Functions of a state module: their parameters, and whether they take any."""
    path = OURS / f"{module}.py"
    if not path.exists():
        path = SALTS / f"{ALIASES.get(module, module)}.py"
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {
        node.name: ({a.arg for a in (*node.args.args, *node.args.kwonlyargs)}, node.args.kwarg is not None)
        for node in tree.body
        if isinstance(node, ast.FunctionDef)
    }


def test_steps_called_by_an_orchestration_run_sls_that_are_there() -> None:
    from saltern.plan.stepper import SLS

    for name in {*SLS.values(), "compare", "stop", "destroy", "precheck"}:
        assert (STATES / "openstack" / "host" / f"{name}.sls").exists(), name


@pytest.mark.parametrize("hosts", [1, 3, 100])
def test_only_the_first_two_steps_are_not_parallel(hosts: int) -> None:
    found = plan(hosts)
    compiled = {"digest": found["digest"], "errors": [], "plan": found}
    rendered = render("deploy.sls", {"salt": {"openstack_plan.compile": lambda: compiled}, "pillar": {}})
    serial = [
        state_id
        for state_id, body in rendered.items()
        if not any(argument.get("parallel") for argument in next(iter(body.values())) or [])
    ]
    assert serial == ["Begin the run", "Compare every host with the model"]
    assert len(rendered) == len(found["steps"]) + 4
