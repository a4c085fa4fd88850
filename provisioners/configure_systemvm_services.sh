#!/bin/sh
# configure_systemvm_services.sh: installs CloudStack's files and their signature, and enables at boot only services that no role controls.
# uses: RELEASE, SIGNATURE (md5|sha512), STAGE_FILES, SOURCE_DATE_EPOCH    leaves: /usr/share/cloud/cloud-scripts.tgz, /var/cache/cloud/cloud-scripts-signature, /etc/cloudstack-release, the payload
set -eu
: "${RELEASE:?}" "${SIGNATURE:?}" "${STAGE_FILES:?}" "${SOURCE_DATE_EPOCH:?}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# What all payloads share comes first, so that the payload has the last word.
tar --create --file="$scratch/system.tar" --directory="$STAGE_FILES/system" --owner=0 --group=0 --mode=u=rwX,go=rX .
tar --extract --file="$scratch/system.tar" --directory=/ --no-overwrite-dir

# systemd enters it if something in the fstab cannot be mounted, and stops before SSH, at a shell that no one can use since
# root has no password yet. Without it the boot continues with what there is.
ln -sfn /dev/null /etc/systemd/system/emergency.target
# systemd may start parts of sysinit.target along with any other unit, so swap that CloudStack's scripts turn off could come
# back. And nothing needs to wait for swap: a udev rule enables it when its device appears.
ln -sfn /dev/null /etc/systemd/system/swap.target

mkdir -p /opt/cloud/bin /opt/tftpboot /usr/local/cloud /usr/share/cloud /var/lib/haproxy /var/lib/hyperv \
  /var/www/html /etc/cloudstack
# Where CloudStack's scripts look for what Hyper-V hands over, and where Debian's daemon puts it.
mkdir -p /var/opt
ln -sfn ../lib/hyperv /var/opt/hyperv
# Boot arguments will be kept there, with passwords in them.
install -d -m 0700 /var/cache/cloud

archive=/usr/share/cloud/cloud-scripts.tgz
if [ -e "$STAGE_FILES/payload/cloud-scripts.tgz" ]; then
  # Whoever has packed it has signed these bytes.
  install -m 0644 "$STAGE_FILES/payload/cloud-scripts.tgz" "$archive"
else
  # Modes are set too, since those of a checkout depend on its owner's umask; only the executable bit is kept.
  tar --create --file="$scratch/cloud-scripts.tar" --directory="$STAGE_FILES/payload" --format=gnu --sort=name \
    --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX --mtime="@$SOURCE_DATE_EPOCH" .
  gzip -9 --no-name "$scratch/cloud-scripts.tar"
  install -m 0644 "$scratch/cloud-scripts.tar.gz" "$archive"
fi
hash=$("${SIGNATURE}sum" "$archive")
echo "${hash%% *}" >/var/cache/cloud/cloud-scripts-signature

echo "configure_systemvm_services: the payload, ${hash%% *}"
# From the archive that is signed. Existing folders keep their owners and modes.
tar --extract --file="$archive" --directory=/ --no-overwrite-dir --no-same-owner

# Whoever packed another payload may have lost this on the way.
for program in /opt/cloud/bin/* /opt/cloud/bin/setup/* /root/*.sh /root/*.py /root/health_checks/*.py; do
  [ ! -f "$program" ] || chmod +x "$program"
done
# CloudStack's own first boot unpacks an agent only after new scripts, and a host of the same release brings the very ones.
[ ! -e /opt/cloud/bin/setup/bootstrap.sh ] || : >/var/cache/cloud/patch.required
# Compiled here, because the first boot of each machine would do it otherwise. Checked by content: whoever replaces a
# source need not know of this.
if [ -d /opt/cloud/lib ]; then
  python3 -m compileall -q --invalidation-mode checked-hash /opt/cloud/lib
fi

date=$(date --utc --date="@$SOURCE_DATE_EPOCH" '+%a %b %e %H:%M:%S UTC %Y')
echo "Cloudstack Release $RELEASE $date" >/etc/cloudstack-release
# agetty reads Debian's name and version itself, so the banner stays true after an upgrade.
cat >/etc/issue <<END
Apache CloudStack $RELEASE system VM on \\S{PRETTY_NAME}, \\n \\l

END

a2enmod --quiet ssl rewrite auth_basic auth_digest
a2enconf --quiet systemvm-tls systemvm-web
[ ! -e /etc/apache2/conf-available/systemvm-uploads.conf ] || a2enconf --quiet systemvm-uploads
a2dissite --quiet 000-default default-ssl
a2ensite --quiet vhost-systemvm

# The preset says which services wait for a role; this suite and this payload may not have them all. Of preset, unlike of disable, systemd
# does not run update-rc.d for each, which costs seconds under emulation and changes nothing where there is a unit.
units=
while read -r verb unit; do
  if [ -e "/etc/systemd/system/$unit" ] || [ -e "/usr/lib/systemd/system/$unit" ]; then
    case $verb in enable | disable) units="$units $unit" ;; esac
  elif [ "$verb" = disable ] && [ -e "/etc/init.d/${unit%.service}" ]; then
    update-rc.d "${unit%.service}" disable
  fi
done </etc/systemd/system-preset/20-systemvm.preset
echo "configure_systemvm_services: preset$units"
# shellcheck disable=SC2086 # a list of words
systemctl --quiet --no-reload preset $units

# For a unit that has a SysV script beside it, `systemctl enable` and `disable` run update-rc.d and a reload besides: seconds
# each, and CloudStack's first boot does both for dozens of units. Such a script is kept only where a unit names it, and
# keepalived's, which CloudStack edits.
for script in /etc/init.d/*; do
  name=${script##*/}
  if [ "$name" != keepalived ] && [ -e "/usr/lib/systemd/system/$name.service" ] &&
    ! grep -rqF "$script" /usr/lib/systemd/system /etc/systemd/system; then
    rm -f "$script" /etc/rc[0-6S].d/[SK][0-9][0-9]"$name"
  fi
done

while read -r verb unit; do
  for link in /etc/systemd/system/*.wants/"$unit"; do
    if [ "$verb" = disable ] && [ -L "$link" ]; then
      echo "configure_systemvm_services: still enabled: $link" >&2
      exit 1
    fi
  done
done </etc/systemd/system-preset/20-systemvm.preset
# Its default site needs the certificate, which a second run after cleanup does not have.
[ ! -e /etc/ssl/private/ssl-cert-snakeoil.key ] || apache2ctl -t
# sshd tests its configuration only with a host key, and this machine has none yet.
ssh-keygen -q -t ed25519 -N '' -f "$scratch/key"
mkdir -p /run/sshd
/usr/sbin/sshd -T -h "$scratch/key" >"$scratch/sshd"
grep -qx 'port 3922' "$scratch/sshd"
grep -qx 'passwordauthentication no' "$scratch/sshd"
