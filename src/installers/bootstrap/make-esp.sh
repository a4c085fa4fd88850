#!/bin/sh
# make-esp.sh: an empty EFI system partition on a raw disk. Its files come later, from the boot loader's own installer.
# uses: DISK (a raw disk), ESP ("<start byte> <bytes> <serial number>")    leaves: a FAT32 in $DISK
set -eu
: "${DISK:?}" "${ESP:?}"
PATH=$PATH:/usr/sbin:/sbin

# The folder's name is what keeps others out of it: no program gets it as an argument, which everybody could read.
cd "${DISK%/*}"
DISK=${DISK##*/}

read -r start bytes serial <<WORDS
$ESP
WORDS
truncate -s "$bytes" "$DISK.esp"
# The same bytes on every host: neither its time nor its idea of a geometry.
mkfs.vfat --invariant -F 32 -s 1 -h "$((start / 512))" -i "$serial" "$DISK.esp" >/dev/null
dd if="$DISK.esp" of="$DISK" bs=1M seek=$((start / 1048576)) conv=notrunc,sparse status=none
rm "$DISK.esp"
