"""Generates ``src/prompt_ledger/_proto`` from ``proto/``, with the tools of ``requirements/generate.txt``.

``generate.sh`` calls it; with ``--check`` it writes nothing, and fails where what is there differs.
"""

from __future__ import annotations

import difflib
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
PROTO = HERE.parents[1] / "proto"
OUTPUT = HERE / "src" / "prompt_ledger" / "_proto"
PACKAGE = "promptledger/v1"
HEADER = '"""Generated from `proto/` by `generate.py`. Do not edit."""\n'


def generated() -> dict[str, str]:
    """The files by their names, with their imports rewritten."""
    sources = sorted(path.name for path in (PROTO / PACKAGE).glob("*.proto"))
    # Services have stubs; the other files would have empty ones.
    services = {name for name in sources if re.search(r"^service ", (PROTO / PACKAGE / name).read_text(), re.MULTILINE)}
    files = {"__init__.py": HEADER}
    with tempfile.TemporaryDirectory() as folder:
        plugins = (f"--plugin={Path(sys.executable).parent / name}" for name in ("protoc-gen-mypy", "protoc-gen-mypy_grpc"))
        protoc = [sys.executable, "-m", "grpc_tools.protoc", f"--proto_path={PROTO}", *plugins]
        outputs = [f"--python_out={folder}", f"--mypy_out=quiet:{folder}"]
        subprocess.run([*protoc, *outputs, *(f"{PACKAGE}/{name}" for name in sources)], check=True, cwd=PROTO)
        outputs = [f"--grpc_python_out={folder}", f"--mypy_grpc_out=quiet:{folder}"]
        subprocess.run([*protoc, *outputs, *(f"{PACKAGE}/{name}" for name in sorted(services))], check=True, cwd=PROTO)
        for path in sorted((Path(folder) / PACKAGE).iterdir()):
            files[path.name] = rewritten(path.read_text())
    return files


def rewritten(text: str) -> str:
    """A file whose imports name this package, wherever it is installed."""
    text = re.sub(r"^from promptledger\.v1 import ", "from prompt_ledger._proto import ", text, flags=re.MULTILINE)
    # What the classes say of the module that they are in.
    return re.sub(r"'promptledger\.v1\.(\w+_pb2)'", r"'prompt_ledger._proto.\1'", text)


def main() -> int:
    files = generated()
    present = {path.name: path.read_text() for path in sorted(OUTPUT.iterdir()) if path.is_file()}
    if sys.argv[1:] == ["--check"]:
        for name in sorted(files.keys() | present.keys()):
            old, new = present.get(name, ""), files.get(name, "")
            sys.stdout.writelines(difflib.unified_diff(old.splitlines(True), new.splitlines(True), name, "generated"))
        return int(files != present)
    for name in present.keys() - files.keys():
        (OUTPUT / name).unlink()
    for name, text in files.items():
        (OUTPUT / name).write_text(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
