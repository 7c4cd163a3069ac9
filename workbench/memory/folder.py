"""The folder of a memory: made private, and judged by the disk it lies on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.memory.locks import PRIVATE_FOLDER

_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "ncpfs", "gpfs"}
)
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


def make(folder: Path) -> None:
    """Make a folder and those above it, for this user alone; one that is there stays as it is. Raises OSError."""
    folder.mkdir(mode=PRIVATE_FOLDER, parents=True, exist_ok=True)


def cannot(folder: Path, error: OSError) -> Unavailable:
    """The one line that tells why this folder takes nothing, with what to do."""
    reason = error.strerror or str(error)
    hint = "Set WORKBENCH_HOME to a folder that you can write to."
    if error.errno in _FULL:
        hint = "Free some space there, or set WORKBENCH_HOME to a folder on another disk."
    return Unavailable(f"{folder} cannot be written: {reason}", hint=hint, folder=str(folder), errno=error.errno)


def network_type(folder: Path, mounts: Path = Path("/proc/self/mountinfo")) -> str | None:
    """The type of the network file system that the folder lies on ("nfs4"), None on a local disk or when not known."""
    try:
        lines = mounts.read_text(errors="replace").splitlines()
    except OSError:
        return None
    path = os.path.realpath(folder)
    best, kind = "", ""
    for line in lines:
        fields, _, rest = line.partition(" - ")
        point = fields.split(" ")[4].replace("\\040", " ")
        inside = path == point or path.startswith(point.rstrip("/") + "/")
        if inside and len(point) >= len(best):
            best, kind = point, rest.split(" ")[0]
    # FUSE carries both: sshfs and the like are remote, fuseblk is a local disk.
    return kind if kind in _NETWORK or kind.startswith("fuse.") else None


def sync(folder: Path) -> None:
    """Make the names in a folder durable: without this a power cut can lose a file's name, and all that was synced into
    it. Raises OSError."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
