#!/bin/sh
# configure_grub.sh: installs GRUB, with consoles on screen and serial line, and an initramfs that boots on every hypervisor.
# uses: GRUB_PLATFORMS, UEFI_LOADER (or none), SECURE_BOOT (yes|no), KERNEL_ARGUMENTS, DISK_MODULES, NETWORK_MODULES    leaves: /etc/default/grub.d/systemvm.cfg, /etc/initramfs-tools/conf.d/systemvm, /boot/grub/grub.cfg, $UEFI_LOADER
set -eu
: "${GRUB_PLATFORMS:?}" "${UEFI_LOADER:?}" "${SECURE_BOOT:?}" "${KERNEL_ARGUMENTS:?}" "${DISK_MODULES:?}" "${NETWORK_MODULES:?}"

scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT

# Prints the modules of $2 that are not among the files listed in $1. A module's file name may have - for _.
missing() {
  awk -v modules="$2" '
    { sub(/.*\//, ""); sub(/\.ko.*/, ""); gsub(/-/, "_"); have[$0] }
    END {
      count = split(modules, module, " ")
      for (i = 1; i <= count; i++) { name = module[i]; gsub(/-/, "_", name); if (!(name in have)) print module[i] }
    }' "$1"
}

# Prints what the initramfs of kernel $1 lacks: drivers, and the program that checks and repairs the root. A module that is
# built into the kernel needs no file.
missing_from_initramfs() {
  lsinitramfs "/boot/initrd.img-$1" >"$scratch/files"
  grep -q "/$checker\$" "$scratch/files" || echo "$checker"
  cat "/lib/modules/$1/modules.builtin" >>"$scratch/files"
  missing "$scratch/files" "$DISK_MODULES"
}
checker=fsck.$(findmnt --noheadings --output FSTYPE /)

# Also for kernels installed later: by then the disk may be on another hypervisor.
echo 'MODULES=most' >/etc/initramfs-tools/conf.d/systemvm

for kernel in /boot/vmlinuz-*; do
  version=${kernel#/boot/vmlinuz-}
  lacking=$(missing_from_initramfs "$version")
  if [ -n "$lacking" ]; then
    # An installer only included its own machine's drivers. A rebuild takes minutes under emulation, hence the check.
    echo "configure_grub: initramfs of $version, with the disk drivers of every hypervisor and $checker"
    update-initramfs -u -k "$version"
    lacking=$(missing_from_initramfs "$version")
  fi
  [ -z "$lacking" ] || { echo "configure_grub: not in the initramfs of $version: $lacking" >&2; exit 1; }

  # Finding the root disk takes no network card, so those modules are loaded from it.
  cat "/lib/modules/$version/modules.order" "/lib/modules/$version/modules.builtin" >"$scratch/files"
  lacking=$(missing "$scratch/files" "$NETWORK_MODULES")
  [ -z "$lacking" ] || { echo "configure_grub: not in the kernel $version: $lacking" >&2; exit 1; }
done

mkdir -p /etc/default/grub.d
cat >/etc/default/grub.d/systemvm.cfg <<END
GRUB_TIMEOUT=0
GRUB_CMDLINE_LINUX_DEFAULT="loglevel=4"
GRUB_CMDLINE_LINUX="$KERNEL_ARGUMENTS"
GRUB_TERMINAL="console serial"
GRUB_SERIAL_COMMAND="serial --speed=115200 --unit=0 --word=8 --parity=no --stop=1"
GRUB_DISABLE_OS_PROBER=true
END

# A deployed system VM's disk may have any name, so upgrading the package there must not look for the build's.
debconf-set-selections <<'END'
grub-pc grub-pc/install_devices multiselect
grub-pc grub-pc/install_devices_empty boolean true
END

for platform in $GRUB_PLATFORMS; do
  if [ "$platform" = i386-pc ]; then
    disk=$(lsblk --noheadings --paths --output PKNAME "$(findmnt --noheadings --nofsroot --output SOURCE /)")
    echo "configure_grub: boot loader on $disk"
    grub-install --target=i386-pc --locales= "$disk"
  else
    echo "configure_grub: boot loader for UEFI on $(findmnt --noheadings --output SOURCE /boot/efi)"
    case $SECURE_BOOT in yes) signed=--uefi-secure-boot ;; *) signed=--no-uefi-secure-boot ;; esac
    # At the removable media path, since a deployed disk comes without the firmware's boot entries.
    grub-install --target="$platform" --locales= --removable --no-nvram "$signed"
  fi
done
update-grub

# update-grub names the device instead when it cannot see the UUID.
grep -q 'root=UUID=[^ ]* ro .*net\.ifnames=0' /boot/grub/grub.cfg

[ "$UEFI_LOADER" = none ] || [ -s "$UEFI_LOADER" ]
if [ "$SECURE_BOOT" = yes ] && ! cmp -s "$UEFI_LOADER" /usr/lib/shim/shim*.efi.signed; then
  echo "configure_grub: $UEFI_LOADER is not Debian's signed shim" >&2
  exit 1
fi
