"""Runs CloudStack's own `cloud-setup-management`, with a folder of ours for its templates and nothing of the host set up.

usage: setup-management.py SCRIPT TEMPLATES-FOLDER [its own options]
"""

import sys
import types
from pathlib import Path
from typing import Any

HOME = "/usr/share/cloudstack-management/templates/systemvm"


class Nothing:
    """Stands for whatever would set up the host."""

    def __getattr__(self, _name: str) -> "Nothing":
        return self

    def __call__(self, *_arguments: Any) -> "Nothing":
        return self


def stub(name: str, **content: Any) -> None:
    module = types.ModuleType(name)
    module.__dict__.update(content)
    sys.modules[name] = module


def main() -> None:
    script, folder, *words = sys.argv[1:]
    stub("cloudutils")
    stub("cloudutils.syscfg", sysConfigFactory=Nothing())
    stub("cloudutils.utilities", initLoging=Nothing(), UnknownSystemException=type("Unknown", (Exception,), {}))
    stub(
        "cloudutils.cloudException",
        CloudRuntimeException=type("Runtime", (Exception,), {}),
        CloudInternalException=type("Internal", (Exception,), {}),
    )
    stub("cloudutils.globalEnv", globalEnv=Nothing)
    stub("cloudutils.serviceConfigServer", cloudManagementConfig=Nothing())
    source = Path(script).read_text()
    if HOME not in source:
        sys.exit(f"{script} has its templates elsewhere than in {HOME}")
    sys.argv = [script, *words]
    exec(compile(source.replace(HOME, folder), script, "exec"), {"__name__": "__main__", "__file__": script})


main()
