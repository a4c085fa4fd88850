"""The archive of scripts that a CloudStack host copies in: checked as a whole before any of it is laid over the system."""

from __future__ import annotations

import hashlib
import io
import os
import posixpath
import tarfile
import zlib
from collections.abc import Callable
from typing import NamedTuple

from .machine import Machine

# CloudStack's own has a quarter of a MiB, and two unpacked. A machine of 256 MiB has to hold both.
PACKED_LIMIT_BYTES = 16 << 20
UNPACKED_LIMIT_BYTES = 64 << 20
MEMBERS_LIMIT = 10_000

# Where a file may go. What is not on a disk, as /proc and /run, is not among them.
TOPS = frozenset(('boot', 'etc', 'home', 'lib', 'opt', 'root', 'srv', 'usr', 'var'))


class Refused(ValueError):
    """An archive that must not be unpacked, and why."""


class Archive(NamedTuple):
    """One that may be."""

    # The digest of the packed file, by which CloudStack knows it.
    sha512: str
    # The tar file, and its members by their names without `./` or a slash at either end.
    content: bytes
    members: dict[str, tarfile.TarInfo]

    def unpack(self, machine: Machine, is_wanted: Callable[[str], bool]) -> int:
        """Lays the members over the system whose name is wanted. Returns how many files that were."""
        count = 0
        with tarfile.open(fileobj=io.BytesIO(self.content)) as tar:
            for name, member in self.members.items():
                if not is_wanted(name):
                    continue
                if member.isdir():
                    os.makedirs(machine.path(name), exist_ok=True)
                elif member.issym():
                    machine.link(name, member.linkname)
                else:
                    file = tar.extractfile(member)
                    # Only for members that are no files, and there are none.
                    assert file is not None
                    machine.write_bytes(name, file.read(), mode=member.mode & 0o755)
                    count += 1
        return count


def read_archive(packed: bytes) -> Archive:
    """Checks all of it. A file that is not copied to its end yet is refused like one that is broken."""
    if len(packed) > PACKED_LIMIT_BYTES:
        raise Refused(f'it is larger than {PACKED_LIMIT_BYTES >> 20} MiB')
    content = decompress(packed)
    members: dict[str, tarfile.TarInfo] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode='r:') as tar:
            for member in tar:
                name = check(member)
                if name:
                    members[name] = member
                if len(members) > MEMBERS_LIMIT:
                    raise Refused(f'it has more than {MEMBERS_LIMIT} members')
    except (tarfile.TarError, UnicodeError, ValueError) as error:
        raise error if isinstance(error, Refused) else Refused(f'it is no sound tar: {error}') from error
    if not any(member.isreg() for member in members.values()):
        raise Refused('it has no files')
    links = {name for name, member in members.items() if member.issym()}
    for name in members:
        if through := links.intersection(parents(name)):
            raise Refused(f'{name!r} would be written through the link {sorted(through)[0]!r}')
    return Archive(hashlib.sha512(packed).hexdigest(), content, members)


def decompress(packed: bytes) -> bytes:
    """What gzip packed, whose last bytes say that nothing is missing."""
    # With the header and the trailer of gzip.
    unpacker = zlib.decompressobj(wbits=31)
    try:
        content = unpacker.decompress(packed, UNPACKED_LIMIT_BYTES + 1)
    except zlib.error as error:
        raise Refused(f'it is no sound gzip: {error}') from error
    if len(content) > UNPACKED_LIMIT_BYTES:
        raise Refused(f'it unpacks to more than {UNPACKED_LIMIT_BYTES >> 20} MiB')
    if not unpacker.eof:
        raise Refused('it is cut short')
    if unpacker.unused_data:
        raise Refused('something follows the archive')
    return content


def check(member: tarfile.TarInfo) -> str:
    """The name that a member is written to; empty for the root itself."""
    parts = [part for part in member.name.split('/') if part not in ('', '.')]
    if member.name.startswith('/') or '..' in parts:
        raise Refused(f'{member.name!r} leads out of it')
    if parts and parts[0] not in TOPS:
        raise Refused(f'{member.name!r} is in none of {", ".join(sorted(TOPS))}')
    if not (member.isreg() or member.isdir() or member.issym()) or member.issparse():
        raise Refused(f'{member.name!r} is no file, folder, or symbolic link')
    if len(parts) == 1 and not member.isdir():
        raise Refused(f'{member.name!r} would take the place of a folder')
    return '/'.join(parts)


def parents(name: str) -> list[str]:
    found = []
    while name := posixpath.dirname(name):
        found.append(name)
    return found
