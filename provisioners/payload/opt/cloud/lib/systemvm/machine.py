"""The machine as the rest of this package sees it: files below a root, programs, a clock and a log.

Everything that the package does to the world goes through here, so a test gives it another root, clock and programs.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import NamedTuple

LOG = '/var/log/cloud.log'


class Result(NamedTuple):
    """How a program ended. `code` is 127 for one that is not there, 124 for one that took too long."""

    code: int
    output: str


class Machine:
    def __init__(self, root: str = '/') -> None:
        self.root = root
        # Names of the steps that failed.
        self.failures: list[str] = []

    def path(self, path: str) -> str:
        """Where a path of the guest is on this system."""
        return os.path.join(self.root, path.lstrip('/'))

    def monotonic(self) -> float:
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def log(self, line: str) -> None:
        """Writes one line for people to the journal and the log file. Never a password or a key."""
        line = ''.join(character if character.isprintable() else ' ' for character in line)
        print(line, flush=True)
        try:
            with open(self.path(LOG), 'a', encoding='utf-8') as file:
                file.write(f'{time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())} {line}\n')
        except OSError as error:
            print(f'{LOG}: {error}', file=sys.stderr)

    def run(self, *words: str, text: str = '', timeout_seconds: float = 120) -> Result:
        """Runs a program with `text` as its input. No shell ever sees the words."""
        # A file: whatever the program leaves running would keep a pipe open.
        with tempfile.TemporaryFile() as output:
            try:
                process = subprocess.Popen(
                    words,
                    stdin=subprocess.PIPE,
                    stdout=output,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            except FileNotFoundError:
                return Result(127, f'{words[0]} is not there')
            with process:
                try:
                    process.communicate(text.encode(), timeout_seconds)
                    code, end = process.returncode, ''
                except subprocess.TimeoutExpired:
                    # And everything it has started, which would otherwise go on.
                    os.killpg(process.pid, signal.SIGKILL)
                    code, end = 124, f'\n{words[0]} took longer than {timeout_seconds:g} s'
            output.seek(0)
            return Result(code, (output.read().decode(errors='replace') + end).strip())

    def must_run(self, *words: str, text: str = '') -> str:
        code, output = self.run(*words, text=text)
        if code != 0:
            raise RuntimeError(f'{" ".join(words)} ended with {code}: {output}')
        return output

    def exists(self, path: str) -> bool:
        return os.path.lexists(self.path(path))

    def names(self, folder: str) -> list[str]:
        """Names in a folder, sorted; none where there is no such folder."""
        try:
            return sorted(os.listdir(self.path(folder)))
        except OSError:
            return []

    def read_bytes(self, path: str, limit_bytes: int = 1 << 20) -> bytes:
        """A file's bytes; none where it cannot be read."""
        try:
            with open(self.path(path), 'rb') as file:
                return file.read(limit_bytes)
        except OSError:
            return b''

    def has(self, path: str, content: bytes) -> bool:
        return self.read_bytes(path, len(content) + 1) == content

    def read(self, path: str) -> str:
        return self.read_bytes(path).decode(errors='replace')

    def write(self, path: str, text: str, mode: int = 0o644) -> bool:
        """Leaves a file of exactly this text, whole or not at all. Returns whether anything changed."""
        return self.write_bytes(path, text.encode(), mode)

    def write_bytes(self, path: str, content: bytes, mode: int = 0o644) -> bool:
        real = self.path(path)
        if os.path.isfile(real) and not os.path.islink(real) and self.has(path, content):
            os.chmod(real, mode)
            return False

        def make(draft: str) -> None:
            # Nobody else may read it meanwhile, whatever its mode will be.
            with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), 'wb') as file:
                os.fchmod(file.fileno(), mode)
                file.write(content)
                file.flush()
                # Otherwise a host that loses power may leave the name without the content.
                os.fsync(file.fileno())

        put_in_place(real, make)
        return True

    def identify(self, path: str) -> str:
        """Tells one state of a file from the next; empty if there is no file."""
        try:
            found = os.stat(self.path(path))
        except OSError:
            return ''
        return f'{found.st_ino} {found.st_size} {found.st_mtime_ns}'

    def remove(self, path: str) -> None:
        if self.exists(path):
            os.unlink(self.path(path))

    def remove_tree(self, path: str) -> None:
        """Removes a folder with all that is in it."""
        shutil.rmtree(self.path(path), ignore_errors=True)

    def link(self, path: str, target: str) -> None:
        """Leaves a symbolic link in place of whatever file or link is there."""
        real = self.path(path)
        if os.path.islink(real) and os.readlink(real) == target:
            return
        put_in_place(real, lambda draft: os.symlink(target, draft))


def put_in_place(real: str, make: Callable[[str], None]) -> None:
    """Makes a file or a link under a name that nothing else has, then gives it its own."""
    os.makedirs(os.path.dirname(real), exist_ok=True)
    draft = f'{real}.systemvm-draft'
    # A boot that was killed left it. It may be a link, which is never followed.
    if os.path.lexists(draft):
        os.unlink(draft)
    try:
        make(draft)
        os.rename(draft, real)
    except OSError:
        # A full disk gets its room back.
        if os.path.lexists(draft):
            os.unlink(draft)
        raise
