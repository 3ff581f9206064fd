"""The programs beside the recipes, which are no package, as modules."""

from __future__ import annotations

import importlib.util
import sys
from types import ModuleType

from tests.conftest import ROOT


def sprout_script(name: str) -> ModuleType:
    """`recipes/sprout/<name>.py`."""
    spec = importlib.util.spec_from_file_location(f"sprout_{name}", ROOT / "recipes" / "sprout" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module
