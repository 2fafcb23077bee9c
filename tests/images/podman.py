"""podman, with the storage of `stack/containers.sh`, which must have started us."""

import os
import subprocess

#: What podman reads that makes it ours.
SETTINGS = ("CONTAINERS_CONF", "CONTAINERS_STORAGE_CONF")


def environment() -> dict[str, str]:
    """For a podman that is started elsewhere."""
    return {name: os.environ[name] for name in SETTINGS}


def podman(*arguments: str) -> str:
    """What it prints; AssertionError with its complaint if it fails."""
    assert all(name in os.environ for name in SETTINGS), "run these tests by `make image-test`"
    done = subprocess.run(["podman", *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"podman {' '.join(arguments)}: {done.stderr}"
    return done.stdout


def python_in(image: str, code: str) -> str:
    """What a program prints that is run by the image's Python."""
    return podman("run", "--rm", "--network", "none", "--entrypoint", "python", image, "-c", code)
