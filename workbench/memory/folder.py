"""The folder of a memory: made private, and judged by the disk it lies on."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from workbench.core.errors import Unavailable
from workbench.memory.locks import PRIVATE_FOLDER

MOUNTS = Path("/proc/self/mountinfo")
_NETWORK = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "glusterfs", "lustre", "beegfs", "ncpfs", "gpfs"}
)
# FUSE carries both. These are known to lie on a disk of this machine; of any other we must assume that it does not.
_LOCAL_FUSE = frozenset(
    f"fuse.{name}"
    for name in (
        *("ntfs-3g", "ntfs", "exfat", "lxcfs", "gocryptfs", "encfs", "cryfs", "mergerfs", "bindfs", "fuse-overlayfs"),
        *("squashfuse", "portal", "gvfsd-fuse", "zfs-fuse", "ext4", "unionfs", "veracrypt"),
    )
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


def network_type(folder: Path, mounts: Path = MOUNTS) -> str | None:
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
    remote = kind in _NETWORK or (kind.startswith("fuse.") and kind not in _LOCAL_FUSE)
    return kind if remote else None


def check_local(folder: Path, network: bool, mounts: Path = MOUNTS) -> None:
    """Raises Unavailable when the folder lies on a network file system and that is not accepted (`network`)."""
    if network or (kind := network_type(folder, mounts)) is None:
        return
    raise Unavailable(
        f"{folder} lies on a network file system ({kind}), where locks between machines cannot be relied on.",
        hint="Set WORKBENCH_HOME to a local folder, or WORKBENCH_NETWORK_HOME=1 if one machine alone uses it.",
        folder=str(folder),
    )


def sync(folder: Path) -> None:
    """Make the names in a folder durable: without this a power cut can lose a file's name, and with it all that was
    synced into it."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_file(path: Path) -> None:
    """Make the content of a file durable. Never for a file that DuckDB has open in this process."""
    descriptor = os.open(path, os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
