#!/bin/sh
# configure_acpid.sh: makes the power button power the system VM off.
# uses: nothing    leaves: /etc/acpi/events/power, /usr/local/sbin/power.sh
set -eu

cat >/etc/acpi/events/power <<'END'
event=button/power.*
action=/usr/local/sbin/power.sh "%e"
END
cat >/usr/local/sbin/power.sh <<'END'
#!/bin/sh
# Run by acpid when the hypervisor presses the power button.
exec systemctl poweroff
END
chmod 0644 /etc/acpi/events/power
chmod 0755 /usr/local/sbin/power.sh
echo 'configure_acpid: the power button powers off'

systemctl --quiet is-enabled acpid.path acpid.socket
