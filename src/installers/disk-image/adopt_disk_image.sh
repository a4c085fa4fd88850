#!/bin/sh
# adopt_disk_image.sh: on a disk image of others, what the stages expect of layer 0: packages, their sources, settings that come before them.
# uses: PACKAGES (by spaces), SOURCES, KEYRING, TIMEZONE, KEYBOARD, DPKG_EXCLUDES, INITRAMFS_SETTINGS, INITRAMFS_SETTINGS_FILE, OPTIONAL_MOUNTS
# leaves: /etc/apt/sources.list.d/debian.sources, /etc/dpkg/dpkg.cfg.d/systemvm, $INITRAMFS_SETTINGS_FILE, /usr/sbin/policy-rc.d, the packages
set -eu
: "${PACKAGES:?}" "${SOURCES:?}" "${KEYRING:?}" "${TIMEZONE:?}" "${KEYBOARD:?}" "${DPKG_EXCLUDES:?}"
: "${INITRAMFS_SETTINGS:?}" "${INITRAMFS_SETTINGS_FILE:?}" "${OPTIONAL_MOUNTS:?}"

# No daemon starts while the image is built; the last stages take this away again.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d
chmod 0755 /usr/sbin/policy-rc.d

[ -s "$KEYRING" ] || { echo "adopt_disk_image: the image has no $KEYRING, which proves its packages" >&2; exit 1; }
rm -f /etc/apt/sources.list /etc/apt/sources.list.d/*
printf '%s' "$SOURCES" >/etc/apt/sources.list.d/debian.sources

mkdir -p /etc/dpkg/dpkg.cfg.d "${INITRAMFS_SETTINGS_FILE%/*}"
printf '%s\n' "$DPKG_EXCLUDES" >/etc/dpkg/dpkg.cfg.d/systemvm
# An initramfs is made anew only where it would come out otherwise: that costs minutes under emulation.
if [ ! -e "$INITRAMFS_SETTINGS_FILE" ] || [ "$(cat "$INITRAMFS_SETTINGS_FILE")" != "$INITRAMFS_SETTINGS" ]; then
  printf '%s\n' "$INITRAMFS_SETTINGS" >"$INITRAMFS_SETTINGS_FILE"
  echo 'adopt_disk_image: an initramfs with these settings'
  update-initramfs -u -k all
fi

ln -sfn "/usr/share/zoneinfo/$TIMEZONE" /etc/localtime
printf '%s\n' "$TIMEZONE" >/etc/timezone
printf 'XKBMODEL="pc105"\nXKBLAYOUT="%s"\nXKBVARIANT=""\nXKBOPTIONS=""\nBACKSPACE="guess"\n' "$KEYBOARD" \
  >/etc/default/keyboard

# No boot may fail for want of swap or /boot.
echo "$OPTIONAL_MOUNTS" >/run/adopt_disk_image
while read -r options where; do
  awk -v where="^$where\$" -v options="$options" '
    !/^[ \t]*#/ && $2 ~ where && $4 !~ /nofail/ { $4 = $4 "," options }
    { print }' /etc/fstab >/run/adopt_disk_image.fstab
  cat /run/adopt_disk_image.fstab >/etc/fstab
done </run/adopt_disk_image
rm /run/adopt_disk_image /run/adopt_disk_image.fstab

# Sets `missing`. It fails when a name is unknown, that is, missing.
find_missing() {
  # shellcheck disable=SC2086 # a list of words
  known=$(dpkg-query --show --showformat='${Package}=${db:Status-Status} ' $PACKAGES 2>/dev/null) || :
  missing=
  for package in $PACKAGES; do
    case " $known" in
      *" $package=installed "*) ;;
      *) missing="$missing $package" ;;
    esac
  done
}

find_missing
if [ -n "$missing" ]; then
  echo "adopt_disk_image: installing$missing"
  apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none update
  unknown=
  for package in $missing; do
    apt-cache show "$package" >/dev/null 2>&1 || unknown="$unknown $package"
  done
  [ -z "$unknown" ] || { echo "adopt_disk_image: the mirror has no package$unknown" >&2; exit 1; }
  debconf-set-selections <<'END'
iptables-persistent iptables-persistent/autosave_v4 boolean false
iptables-persistent iptables-persistent/autosave_v6 boolean false
grub-pc grub-pc/install_devices multiselect
grub-pc grub-pc/install_devices_empty boolean true
END
  # Java's alternatives include manual pages, and fail without their folder.
  mkdir -p /usr/share/man/man1
  # shellcheck disable=SC2086 # a list of words
  apt-get -qy --no-install-recommends -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold install $missing
  find_missing
fi
[ -z "$missing" ] || { echo "adopt_disk_image: not installed:$missing" >&2; exit 1; }

[ -f "/usr/share/zoneinfo/$TIMEZONE" ] || { echo "adopt_disk_image: the image's tzdata has no time zone $TIMEZONE" >&2; exit 1; }

broken=$(dpkg --audit)
[ -z "$broken" ] || { echo "adopt_disk_image: $broken" >&2; exit 1; }
echo 'adopt_disk_image: all there'
