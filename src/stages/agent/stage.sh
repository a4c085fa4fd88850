#!/bin/sh
# stage.sh: runs one stage's script, then says what it left, as lines that begin with this run's mark.
# uses: the stage's name and script, and what the host wrote to /run/systemvm-build/stages/<name>    leaves: the files it unpacked, and dpkg-status, in /run
set -u

kit=/run/systemvm-build
name=$1
script=$2
stage=$kit/stages/$name
mark=$(cat $kit/stage-mark)

say() {
  printf '%s %s\n' "$mark" "$*"
}

# Prints one line for a path that the stage promised; fails when the path is not there.
say_artifact() {
  if [ -L "$1" ]; then
    type='link'
    sum=$(readlink -n "$1" | sha256sum)
  elif [ -f "$1" ]; then
    type='file'
    sum=$(sha256sum <"$1")
  elif [ -d "$1" ]; then
    type='folder'
    sum=$(cd "$1" && find . -type f -exec sha256sum {} + | LC_ALL=C sort | sha256sum)
  else
    say "missing $1"
    return 1
  fi
  say "artifact $type $(stat -c '%a %s' "$1") ${sum%% *} $1"
}

if [ -f "$stage/files.tar" ]; then
  mkdir -p "$stage/files"
  tar -xf "$stage/files.tar" -C "$stage/files"
fi
# In a mount namespace of its own, so that the guest's own file stays what it is.
enter=
if [ -f "$stage/network" ] && [ -f /etc/resolv.conf ]; then
  enter="mount --bind $kit/resolv.conf /etc/resolv.conf &&"
fi

say "begin $name"
rc=0
env -i unshare --mount --propagation private \
  sh -c "$enter . \"\$0/environment\" && exec sh \"\$1\"" "$stage" "$script" </dev/null 2>&1 || rc=$?

if [ "$rc" -eq 0 ]; then
  while IFS= read -r path; do
    say_artifact "$path" || rc=125
  done <"$stage/leaves"
fi
if ! cmp -s /var/lib/dpkg/status $kit/dpkg-status; then
  cp /var/lib/dpkg/status $kit/dpkg-status
  dpkg-query -W -f "$mark "'package ${binary:Package} ${Version} ${db:Status-Abbrev}\n'
  say packages-end
fi
sync
say "end $name $rc"
# A person looks into it, and may decide that it will do.
if [ "$rc" -ne 0 ] && [ -e $kit/hold ]; then
  while [ ! -e $kit/released ]; do sleep 0.5; done
  rm $kit/released
  exit 0
fi
exit "$rc"
