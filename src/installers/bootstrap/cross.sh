#!/bin/sh
# cross.sh: this host's own programs at work in a tree of another architecture, whose own can only be emulated.
# uses: ROOT (the tree), DISK    leaves: after `end` nothing of them, after `list` $DISK.packages
#
# begin: brings dpkg and others into the tree, with the libraries that they need.
# swap: once the essential packages are there, the programs whose results are the same everywhere work in place of theirs.
# end: makes the one initramfs, which was put off meanwhile, and takes all of it out again.
# list: writes down the packages anew. This host's dpkg adds the architecture to the names of foreign ones.
set -eu
: "${ROOT:?}" "${DISK:?}"
here=${0%/*}
native=$ROOT/.native

# Not those that tell of the machine, such as uname.
same='basename cat chmod chown cp cut dash dirname env expr find grep head id install ln ls mawk mkdir mktemp mv readlink
  realpath rm rmdir sed sort stat tail tar touch tr wc xargs'

# Puts a file of this host into the tree, at the same place, and notes it.
add() {
  # Where /lib is a link, the tree may not have it yet.
  case $1 in /lib/* | /lib64/*) place=/usr$1 ;; *) place=$1 ;; esac
  [ ! -e "$ROOT$place" ] || return 0
  mkdir -p "$ROOT${place%/*}"
  cp -rL "$1" "$ROOT$place"
  printf '%s\n' "$place" >>"$native/added"
}

# Puts a program of this host where nothing in the tree looks for one.
bring() {
  path=$(command -v "$1") || return 0
  install -m 0755 "$(realpath "$path")" "$2/$1"
  # A library stands behind an arrow, the loader does not, and what the kernel brings is no file.
  ldd "$path" | sed -n 's/.*=> \(\/[^ ]*\).*/\1/p; s/^[[:space:]]*\(\/[^ ]*\) (.*/\1/p' >"$native/needed"
  while read -r library; do add "$library"; done <"$native/needed"
}

# Programs of this host name their loader by a path that Debian's other architectures do not have.
link() {
  if [ -d "$ROOT/usr/lib64" ] && [ ! -e "$ROOT/lib64" ]; then
    ln -s usr/lib64 "$ROOT/lib64"
    grep -qx /lib64 "$native/added" || printf '/lib64\n' >>"$native/added"
  fi
}

begin() {
  mkdir -p "$native/bin" "$native/same" "$native/theirs" "$ROOT/etc/apt/apt.conf.d"
  : >"$native/added"
  for program in $same; do bring "$program" "$native/same"; done
  for program in dpkg perl; do bring "$program" "$native"; done
  for program in dpkg-deb dpkg-split rm sh tar; do bring "$program" "$native/bin"; done
  link
  # What every perl has; the rest of its modules is the tree's.
  modules=$(perl -e 'require strict; print $INC{"strict.pm"} =~ s{/strict\.pm$}{}r')
  case $modules in */perl-base) add "$modules" ;; *) rm "$native/perl" ;; esac
  install -m 0755 "$here/cross-dpkg.sh" "$native/bin/dpkg"
  # The kernel's package asks for one, and then others that have a part in it.
  printf '#!/.native/bin/sh\n' >"$native/bin/update-initramfs"
  chmod 0755 "$native/bin/update-initramfs"
  # Questions are read from the packages once more before they are unpacked, which takes minutes; nobody is asked any.
  cat >"$ROOT/etc/apt/apt.conf.d/99native" <<CONFIGURATION
DPkg::Path "/.native/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
#clear DPkg::Pre-Install-Pkgs;
CONFIGURATION
}

swap() {
  # The package usr-is-merged takes such links away once, when it is configured.
  link
  [ ! -e "$native/perl" ] || install -m 0755 "$here/cross-perl.sh" "$native/same/perl"
  for program in "$native"/same/*; do
    name=${program##*/}
    # Neither a link, which leads to another of them, nor what is not installed.
    if [ -L "$ROOT/usr/bin/$name" ] || [ ! -f "$ROOT/usr/bin/$name" ]; then continue; fi
    mv "$ROOT/usr/bin/$name" "$native/theirs/$name"
    cp "$program" "$ROOT/usr/bin/$name"
  done
}

# Most of the work is in small programs that are started for every module, so this is done while they are this host's own. None
# of those may get into the initramfs.
make_initramfs() {
  hook=$ROOT/etc/initramfs-tools/hooks/native
  cat >"$hook" <<'HOOK'
#!/bin/sh
[ "${1:-}" != prereqs ] || exit 0
for program in /.native/same/*; do
  if cmp -s "$program" "$DESTDIR/usr/bin/${program##*/}"; then echo "${program##*/}" >>/.native/leaked; fi
done
HOOK
  chmod 0755 "$hook"
  # Not `all`, which are those that have one. mkinitramfs would write our ROOT into it.
  for kernel in "$ROOT"/boot/vmlinuz-*; do
    env -i PATH="$PATH" LC_ALL=C.UTF-8 chroot "$ROOT" /usr/sbin/update-initramfs -c -k "${kernel##*/vmlinuz-}"
  done
  rm "$hook"
  [ ! -e "$native/leaked" ] || {
    echo "cross: this host's programs are in the initramfs: $(paste -s -d ' ' "$native/leaked")" >&2
    exit 1
  }
}

end() {
  make_initramfs
  for program in "$native"/theirs/*; do
    name=${program##*/}
    # Unless a package has been unpacked once more.
    if cmp -s "$native/same/$name" "$ROOT/usr/bin/$name"; then mv -f "$program" "$ROOT/usr/bin/$name"; fi
  done
  rm "$ROOT/etc/apt/apt.conf.d/99native"
  while read -r place; do
    rm -r "$ROOT$place"
    rmdir --ignore-fail-on-non-empty --parents "$ROOT${place%/*}"
  done <"$native/added"
  rm -r "$native"
}

list() {
  # shellcheck disable=SC2016 # dpkg-query's own fields
  chroot "$ROOT" dpkg-query -W -f '${binary:Package} ${Version} ${db:Status-Abbrev}\n' >"$DISK.packages"
}

case ${1:-} in
  begin | swap | end | list) "$1" ;;
  *) echo "cross: begin, swap, end or list" >&2; exit 1 ;;
esac
