"""A virtual environment for each peer, under .plimsoll/peers/environments: what pip put there, and its size."""

import hashlib
import importlib.metadata
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from models import PLACE, Wrong

# What the environments are made for; the packages are pinned for it.
PYTHON = (3, 11)


def requirements(name):
    return Path(__file__).with_name(f"requirements-{name}.txt")


def install(name):
    """The folder of a peer's environment, made where it is missing or its requirements have changed."""
    if sys.version_info[:2] != PYTHON:
        found, wanted = (".".join(map(str, version)) for version in (sys.version_info[:2], PYTHON))
        raise Wrong(f"this is Python {found}; the peers' packages are pinned for Python {wanted}")
    folder = PLACE / "environments" / name
    stamp = folder / ".recipe"
    recipe = hashlib.sha256(requirements(name).read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text(encoding="utf-8") == recipe:
        return folder
    print(f"installing {name}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    # Without pip, which no server needs: the folder's size is the peer's.
    venv.create(folder, with_pip=False, symlinks=True)
    command = [sys.executable, "-m", "pip", "--quiet", "--python", str(folder / "bin" / "python"), "install"]
    # Compiled, as starts would be slower otherwise.
    command += ["--compile", "--no-deps", "--requirement", str(requirements(name))]
    if subprocess.run(command).returncode != 0:
        raise Wrong(f"the packages of {requirements(name).name} could not be installed")
    stamp.write_text(recipe, encoding="utf-8")
    return folder


def packages(folder):
    """Versions by package."""
    (site,) = folder.glob("lib/python3*/site-packages")
    found = importlib.metadata.distributions(path=[str(site)])
    return {distribution.metadata["Name"].lower(): distribution.version for distribution in found}


def size(path):
    """Bytes of a file or of all files of a folder; links are not followed."""
    if path.is_file():
        return path.stat().st_size
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            file = Path(folder) / name
            if not file.is_symlink():
                total += file.stat().st_size
    return total
