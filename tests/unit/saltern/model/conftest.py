from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from saltern.model.services import Services
from saltern.plan.compile import Compiled
from unit.saltern.model import fixtures


@pytest.fixture
def services(tmp_path: Path) -> Services:
    return fixtures.services_of(tmp_path / "services")


@pytest.fixture
def compile(tmp_path: Path, services: Services) -> Callable[..., Compiled]:
    """Compile a pillar (a mapping below ``openstack:``, or the text of a file) with the small services."""

    def run(tree: Any = None, **changes: Any) -> Compiled:
        return fixtures.compiled(tmp_path / "pillar", services, fixtures.pillar(**changes) if tree is None else tree)

    return run
