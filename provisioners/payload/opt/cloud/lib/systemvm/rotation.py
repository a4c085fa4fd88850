"""How often a router's logs are rotated."""

from __future__ import annotations

import re

from .arguments import Arguments
from .machine import Machine
from .network import HEADER

# Read after the image's own, which says hourly.
PATH = '/etc/systemd/system/logrotate.timer.d/role.conf'
# What CloudStack's setting allows: a word, or hours, minutes and seconds.
FREQUENCY = re.compile(r'(?i:hourly|daily|monthly)|(\*|[0-9]{2})(:(\*|[0-9]{2})){2}')


def configure_rotation(machine: Machine, arguments: Arguments) -> None:
    frequency = arguments.text('logrotatefrequency')
    if frequency and not FREQUENCY.fullmatch(frequency):
        machine.log('ignoring the argument logrotatefrequency: no frequency')
        return
    if frequency.lower() in ('', 'hourly', '*:00:00'):
        has_changed = machine.exists(PATH)
        machine.remove(PATH)
    else:
        has_changed = machine.write(PATH, f'{HEADER}[Timer]\nOnCalendar=\nOnCalendar={frequency.lower()}\n')
    if has_changed:
        machine.must_run('systemctl', 'daemon-reload')
        machine.run('systemctl', 'try-restart', '--no-block', 'logrotate.timer')
