#!/bin/sh
# zerodisk.sh: discards all free blocks, so that the image contains none of them.
# uses: nothing    leaves: a disk whose unused blocks read as zeros
set -eu

# Filling with zeros instead would write the whole disk, only to have it compressed away.
require_discard() {
  [ "$(lsblk --bytes --nodeps --noheadings --output DISC-MAX "$1" | tr -d ' ')" -gt 0 ] ||
    { echo "zerodisk: $1 does not support discard; attach the disk with discard=unmap" >&2; exit 1; }
}

findmnt --real --noheadings --list --output FSROOT,SOURCE,TARGET --types ext2,ext3,ext4,vfat >/run/zerodisk
while read -r root source target; do
  # Part of a file system that is also mounted elsewhere.
  [ "$root" = / ] || continue
  require_discard "$source"
  fstrim --verbose "$target"
done </run/zerodisk
# Nothing to trim means that findmnt did not see the disk.
[ -s /run/zerodisk ]
rm /run/zerodisk

# The whole swap area except its first page, which has the signature and the UUID.
swapoff --all
for swap in $(blkid --match-token TYPE=swap --output device); do
  require_discard "$swap"
  echo "zerodisk: swap on $swap"
  blkdiscard --force --offset 4096 "$swap"
done
sync
