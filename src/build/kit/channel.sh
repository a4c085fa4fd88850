#!/bin/sh
# channel.sh: does what the host asks for over a port of its own: holds the disk still for a checkpoint, and goes on.
# uses: /dev/virtio-ports/org.systemvm-image.build    leaves: one line of answer to each request
set -eu

kit=/run/systemvm-build
port=/dev/virtio-ports/org.systemvm-image.build

# The disk's own filesystems, outermost first.
mount_points() {
  findmnt --raw --noheadings --output TARGET --types ext2,ext3,ext4,xfs,btrfs
}

freeze() {
  sync
  mount_points | tac | while read -r folder; do fsfreeze --freeze "$folder" || exit 1; done
}

thaw() {
  mount_points | while read -r folder; do fsfreeze --unfreeze "$folder" || exit 1; done
}

# A sleeper's memory is kept: without what the disk has anyway, and with nobody half logged in when it wakes.
fall_asleep() {
  kill -STOP "$(cat $kit/sshd.pid)"
  sync
  echo 3 >/proc/sys/vm/drop_caches
  freeze
}

# Its clock stood still, its randomness is that of every other guest that wakes from the same memory, and the files of
# its stages may be of an earlier run.
wake_up() {
  date --utc --set="@$1" >/dev/null
  thaw
  if [ "$2" -gt 0 ]; then
    rm -rf $kit/stages $kit/hold
    head -c "$2" <&3 | tar --extract --directory=/run --no-same-owner
    cat $kit/seed >/dev/urandom
    rm $kit/seed
  fi
  kill -CONT "$(cat $kit/sshd.pid)"
}

modprobe --quiet virtio_console || true
tries=600
while [ ! -e "$port" ]; do
  tries=$((tries - 1))
  if [ "$tries" -eq 0 ]; then
    echo "systemvm-build: no port $port appeared within 60 s" >&2
    exit 1
  fi
  sleep 0.1
done

umask 077
exec 3<>"$port"
while :; do
  # Nothing is read while nobody has the other end.
  if ! read -r request first second <&3; then
    sleep 0.1
    continue
  fi
  case $request in
    freeze) freeze ;;
    thaw) thaw ;;
    sleep) fall_asleep ;;
    wake) wake_up "$first" "$second" ;;
    release) : >$kit/released ;;
    *) exit 1 ;;
  esac
  printf 'done %s\n' "$request" >&3
done
