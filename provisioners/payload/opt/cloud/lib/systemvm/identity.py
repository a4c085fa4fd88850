"""Who this machine is and who may log in: host name, key, passwords, and where sshd listens."""

from __future__ import annotations

import binascii
import os
import re
import socket
import struct

from .arguments import Address, Arguments
from .machine import Machine
from .network import HEADER, Interface, address_of, addresses_of, render_hosts
from .roles import Role

KEYS = '/root/.ssh/authorized_keys'
SSHD = '/etc/ssh/sshd_config'
LISTEN = '/etc/ssh/sshd_config.d/listen.conf'
KEY_LINE = re.compile(r'(ssh-|ecdsa-|sk-)[a-z0-9@.-]+ [A-Za-z0-9+/]+={0,2}( [\x20-\x7e]*)?')


def configure_name(machine: Machine, arguments: Arguments, role: Role, interfaces: list[Interface]) -> None:
    name = arguments.host_name('name')
    # The kernel's limit.
    if name == '' or len(name) > 64:
        return
    machine.log(f'host name {name}')
    machine.write('/etc/hostname', f'{name}\n')
    own = next((one for name in role.own if (one := address_of(interfaces, name)) is not None), None)
    served = addresses_of(interfaces, 'eth0') if role.serves_dhcp else []
    machine.write('/etc/hosts', render_hosts(name, arguments.host_name('domain'), own, served))
    if machine.root == '/':
        socket.sethostname(name)


def read_key(text: str) -> str | None:
    """A public key as a line of authorized_keys, or None. Options before it and a second line are refused.

    The base64 of the second word begins with the first word, followed by the key's numbers.
    """
    text = text.strip()
    if not KEY_LINE.fullmatch(text):
        return None
    kind, blob = text.split(' ')[:2]
    try:
        content = binascii.a2b_base64(blob)
    except binascii.Error:
        return None
    strings = split_strings(content)
    return text if strings[:1] == [kind.encode()] and len(strings) >= 2 else None


def split_strings(content: bytes) -> list[bytes]:
    """The strings of a key, each preceded by its length in four bytes; empty if one is cut short."""
    strings = []
    while content:
        if len(content) < 4:
            return []
        (length,) = struct.unpack('>I', content[:4])
        if len(content) < 4 + length:
            return []
        strings.append(content[4 : 4 + length])
        content = content[4 + length :]
    return strings


def configure_key(machine: Machine, arguments: Arguments, public_key: str) -> None:
    """Lets in the management server's key, and no other."""
    given = {'pubkey': public_key, 'authorized_key': decode(arguments.text('authorized_key'))}
    keys = {name: read_key(text) for name, text in given.items() if text}
    for name, key in keys.items():
        machine.log(f'{name}: the key of root' if key else f'ignoring {name}: no public key')
    lines = list(dict.fromkeys(key for key in keys.values() if key))
    if lines:
        machine.write(KEYS, '\n'.join(lines) + '\n', mode=0o600)
        os.chmod(os.path.dirname(machine.path(KEYS)), 0o700)


def decode(text: str) -> str:
    """Decodes base64. Anything else is returned unchanged, to be refused as a key."""
    try:
        return binascii.a2b_base64(text, strict_mode=True).decode() if text else ''
    except (binascii.Error, UnicodeDecodeError):
        return text


def configure_passwords(machine: Machine, arguments: Arguments) -> None:
    """Sets root's password if CloudStack gives one, for its consoles, and one for `cloud` that no one ever knows."""
    lines = []
    fields = [line.split(':') for line in machine.read('/etc/shadow').splitlines()]
    # Once is enough: later boots find a hash there.
    if any(field[0] == 'cloud' and field[1][:1] in ('', '!', '*') for field in fields):
        lines.append(f'cloud:{os.urandom(24).hex()}')
    password = arguments.text('vmpassword')
    if password:
        lines.append(f'root:{password}')
    if lines:
        machine.log(f'passwords of {" and ".join(line.partition(":")[0] for line in lines)}')
        code, output = machine.run('chpasswd', text='\n'.join(lines) + '\n')
        if code != 0:
            # Its messages name the account and the line, never the password.
            raise RuntimeError(f'chpasswd: {output}')


def configure_sshd(machine: Machine, role: Role, interfaces: list[Interface], control: str) -> None:
    """Binds sshd to the address of the control interface. If that is not known in advance, it listens on all."""
    address: Address | None = None if role.is_node else address_of(interfaces, control)
    if not re.search(r'^\s*include\s', machine.read(SSHD), re.IGNORECASE | re.MULTILINE):
        # CloudStack's own, from a boot that did not finish. That boot's address could keep sshd from starting.
        bind_sshd(machine, str(address or ''))
    if address is None:
        machine.remove(LISTEN)
        return
    machine.log(f'sshd on {address}, which is {control}')
    machine.write(LISTEN, f'{HEADER}ListenAddress {address}\n')


def bind_sshd(machine: Machine, address: str) -> None:
    """Puts the control address into CloudStack's sshd_config, which reads no other files. Its scripts edit that line."""
    lines = machine.read(SSHD).splitlines()
    if lines:
        kept = [line for line in lines if not re.match(r'[#\s]*listenaddress\s', line, re.IGNORECASE)]
        line = f'ListenAddress {address}' if address else '#ListenAddress 0.0.0.0'
        machine.write(SSHD, '\n'.join([*kept, line]) + '\n')
