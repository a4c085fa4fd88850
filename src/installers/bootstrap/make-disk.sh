#!/bin/sh
# make-disk.sh: turns a tree into a raw disk with a partition table and a filled file system on each partition.
# uses: ROOT (the tree), DISK (file to make), DISK_BYTES, SFDISK_INPUT, PARTITIONS    leaves: $DISK, $DISK.packages
#
# PARTITIONS has a line for each: "<start byte> <bytes> <file system> <uuid> <reserved %> <mount point or ->",
# deepest mount points first. Runs in the namespace of the bootstrap, so that owners come out right without root.
set -eu
: "${ROOT:?}" "${DISK:?}" "${DISK_BYTES:?}" "${SFDISK_INPUT:?}" "${PARTITIONS:?}"
PATH=$PATH:/usr/sbin:/sbin

# The folder's name is what keeps others out of it: no program gets it as an argument, which everybody could read.
cd "${DISK%/*}"
DISK=${DISK##*/}

truncate -s "$DISK_BYTES" "$DISK"
printf '%s' "$SFDISK_INPUT" | sfdisk --quiet --no-reread --no-tell-kernel "$DISK"

# /proc and /sys are mounted inside the tree; a bind mount that is not recursive shows what lies below them.
view=$(mktemp -d)
mount --bind "$ROOT" "$view"
# What mmdebstrap and packages left in there would stay for ever, out of sight, where /tmp is a tmpfs.
mount -t tmpfs -o mode=1777 none "$view/tmp"

while read -r start bytes filesystem uuid reserved mount; do
  case $filesystem in
    swap)
      truncate -s "$bytes" "$DISK.swap"
      mkswap --uuid "$uuid" "$DISK.swap" >/dev/null
      # The header is all there is to an empty swap area.
      dd if="$DISK.swap" of="$DISK" bs=4096 count=1 seek=$((start / 4096)) conv=notrunc status=none
      rm "$DISK.swap"
      ;;
    ext2 | ext4)
      mke2fs -q -t "$filesystem" -U "$uuid" -m "$reserved" -d "$view$mount" \
        -E "offset=$start,hash_seed=$uuid,root_owner=0:0" "$DISK" "$((bytes / 1024))k"
      # What is on this file system must not be on the one that it is mounted on.
      [ "$mount" = / ] || mount -t tmpfs -o mode=755 none "$view$mount"
      ;;
    *)
      echo "make-disk: unknown file system $filesystem" >&2
      exit 1
      ;;
  esac
done <<END
$PARTITIONS
END
umount --recursive "$view"
rmdir "$view"

dpkg-query --admindir="$ROOT/var/lib/dpkg" -W -f '${binary:Package} ${Version} ${db:Status-Abbrev}\n' >"$DISK.packages"
chmod 0644 "$DISK" "$DISK.packages"
