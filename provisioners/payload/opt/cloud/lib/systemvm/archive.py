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

# CloudStack's own has a quarter of a MiB, and 2 MiB unpacked. A machine with 256 MiB must hold both.
PACKED_LIMIT_BYTES = 4 << 20
UNPACKED_LIMIT_BYTES = 16 << 20
HEADERS_LIMIT = 10_000
# Longer than any name here, and short of what the filesystem takes with a draft's ending.
NAME_LIMIT_BYTES = 1024
PART_LIMIT_BYTES = 200

# Headers about the next one: its name, its link, or both and more. They are small, and few follow one another.
ABOUT = (tarfile.GNUTYPE_LONGNAME, tarfile.GNUTYPE_LONGLINK, tarfile.XHDTYPE, tarfile.XGLTYPE)
ABOUT_LIMIT_BYTES = 16 << 10
ABOUT_LIMIT = 4

# Where a file may go. What is not on disk, such as /proc and /run, is not included.
TOPS = frozenset(('boot', 'etc', 'home', 'lib', 'opt', 'root', 'srv', 'usr', 'var'))


class Refused(ValueError):
    """An archive that must not be unpacked, and why."""


class Archive(NamedTuple):
    """An archive that may be unpacked."""

    # The digest of the packed file, by which CloudStack knows it.
    sha512: str
    # The file as it was copied; the tar file in it, and its members by their names without `./` or a slash at either end.
    packed: bytes
    content: bytes
    members: dict[str, tarfile.TarInfo]

    def check_places(self, machine: Machine) -> None:
        """Refuses members that something on the system, or left by an earlier copy, blocks or leads elsewhere."""
        root = os.path.realpath(machine.root)
        folders = set()
        for name, member in self.members.items():
            real = machine.path(name)
            folders.add(os.path.dirname(real))
            is_folder = os.path.isdir(real) and (member.isdir() or not os.path.islink(real))
            if os.path.lexists(real) and is_folder != member.isdir():
                raise Refused(f'{name!r} is {"a" if is_folder else "no"} folder on the system')
        for folder in sorted(folders):
            top = os.path.relpath(os.path.realpath(folder), root).split('/')[0]
            if top != '.' and top not in TOPS:
                raise Refused(f'{os.path.relpath(folder, machine.root)!r} leads to {os.path.realpath(folder)!r}')

    def unpack(self, machine: Machine, is_wanted: Callable[[str], bool]) -> int:
        """Lays the wanted members over the system. Returns the number of files."""
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
                    # None only for members that are not files, and there are none.
                    assert file is not None
                    machine.write_bytes(name, file.read(), mode=member.mode & 0o755)
                    count += 1
        return count


def read_archive(packed: bytes) -> Archive:
    """Checks all of it. A file that is not yet copied completely is refused like a broken one."""
    if len(packed) > PACKED_LIMIT_BYTES:
        raise Refused(f'it is larger than {PACKED_LIMIT_BYTES >> 20} MiB')
    content = decompress(packed)
    left = walk(content)
    members: dict[str, tarfile.TarInfo] = {}
    try:
        with tarfile.open(fileobj=io.BytesIO(content), mode='r:') as tar:
            for member in tar:
                left -= 1
                name = check(member)
                if name:
                    members[name] = member
    except (tarfile.TarError, ValueError, OverflowError, RecursionError) as error:
        raise error if isinstance(error, Refused) else Refused(f'it is no sound tar: {error}') from error
    if left:
        raise Refused(f'it is no sound tar: {left} members cannot be read')
    if not any(member.isreg() for member in members.values()):
        raise Refused('it has no files')
    others = {name for name, member in members.items() if not member.isdir()}
    for name in members:
        if through := others.intersection(parents(name)):
            kind = 'link' if members[min(through)].issym() else 'file'
            raise Refused(f'{name!r} would be written through the {kind} {min(through)!r}')
    return Archive(hashlib.sha512(packed).hexdigest(), packed, content, members)


def decompress(packed: bytes) -> bytes:
    """What gzip packed, whose last bytes say that nothing is missing."""
    # With gzip's header and trailer.
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


def walk(content: bytes) -> int:
    """Counts the members by their headers, which tarfile trusts: it goes back if a size is negative, recurses at each
    header that is about the next, and takes one that it cannot read for the end.
    """
    offset = count = about = found = 0
    while (block := content[offset : offset + tarfile.BLOCKSIZE]) != tarfile.NUL * tarfile.BLOCKSIZE:
        try:
            header = tarfile.TarInfo.frombuf(block, 'utf-8', 'surrogateescape')
        except (tarfile.TarError, ValueError) as error:
            raise Refused(f'it is no sound tar: {error} at {offset}') from error
        offset += tarfile.BLOCKSIZE
        end = offset + header.size
        if not offset <= end <= len(content):
            raise Refused(f'it is no sound tar: {header.name!r} is said to have {header.size} bytes')
        about = about + 1 if header.type in ABOUT else 0
        if about > ABOUT_LIMIT or (about and header.size > ABOUT_LIMIT_BYTES):
            raise Refused('it is no sound tar: too much is said about one member')
        if about and any(word in content[offset:end] for word in (b' size=', b' GNU.sparse.')):
            raise Refused('it is no sound tar: a size is said in two places')
        if header.size and not about and not header.isreg():
            raise Refused(f'{header.name!r} is no file, folder, or symbolic link, and has {header.size} bytes')
        found += not about
        count += 1
        if count > HEADERS_LIMIT:
            raise Refused(f'it has more than {HEADERS_LIMIT} members')
        offset = end + -end % tarfile.BLOCKSIZE
    if content.count(0, offset) != len(content) - offset:
        raise Refused('it is no sound tar: something follows its end')
    return found


def check(member: tarfile.TarInfo) -> str:
    """The name that a member is written to; empty for the root itself."""
    parts = [part for part in member.name.split('/') if part not in ('', '.')]
    if member.name.startswith('/') or '..' in parts:
        raise Refused(f'{member.name!r} leads out of it')
    if '\0' in member.name + member.linkname:
        raise Refused(f'{member.name!r} has a byte that no name has')
    lengths = [len(part.encode(errors='surrogateescape')) for part in parts]
    if sum(lengths) + len(lengths) > NAME_LIMIT_BYTES or max(lengths, default=0) > PART_LIMIT_BYTES:
        raise Refused(f'{member.name[:40]!r}… is too long a name')
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
