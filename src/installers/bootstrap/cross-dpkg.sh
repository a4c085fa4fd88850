#!/.native/bin/sh
# cross-dpkg.sh: in place of dpkg in a tree of another architecture: this host's own unpacks, the tree's configures.
# uses: the arguments of dpkg, /.native/dpkg    leaves: what dpkg leaves
#
# Unpacking is most of the work, and the same on all architectures. Configuring is not: only the tree's dpkg knows which
# packages are of its own architecture, and so fit those of none.
set -eu

# Nothing of the tree outlives a power cut: no file has to be on the disk before the next one.
unpack() {
  /.native/dpkg --force-unsafe-io --force-architecture --force-depends "$@"
}

case " $* " in
  *' --unpack '*) unpack "$@" ;;
  *' --install '*)
    # The essential packages, all at once and before anything else works.
    status=
    for word; do
      shift
      case $word in
        --status-fd=*) status=$word ;;
        --install) word=--unpack ;;
      esac
      set -- "$@" "$word"
    done
    unpack "$@"
    exec /usr/bin/dpkg --force-unsafe-io --force-depends ${status:+"$status"} --configure --pending
    ;;
  *' --compare-versions '* | *' --validate-'*) exec /.native/dpkg "$@" ;;
  *) exec /usr/bin/dpkg "$@" ;;
esac
