"""Load an execution module or a state as Salt's loader does, with dunders of the test's own."""

import importlib.util
from pathlib import Path
from typing import Any

SALT = Path(__file__).resolve().parents[2] / "salt"


def load(kind: str, name: str, **dunders: Any) -> Any:
    """``load("modules", "openstack_file", opts={…}, pillar={…})``."""
    made = importlib.util.spec_from_file_location(f"{kind}_{name}", SALT / f"_{kind}" / f"{name}.py")
    assert made and made.loader
    module = importlib.util.module_from_spec(made)
    made.loader.exec_module(module)
    for key, value in dunders.items():
        setattr(module, f"__{key}__", value)
    return module
