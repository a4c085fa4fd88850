#!/.native/bin/sh
# cross-perl.sh: in place of perl in a tree of another architecture: the scripts that packages are configured by, most of them
# dozens of times, run in this host's own.
# uses: the arguments of perl, /.native/perl    leaves: what perl leaves
set -eu

case " $* " in
  *' /usr/share/debconf/frontend '* | *' /usr/bin/deb-systemd-helper '* | *' /usr/bin/deb-systemd-invoke '* | *' /usr/sbin/update-rc.d '*)
    exec /.native/perl "$@"
    ;;
  *) exec /.native/theirs/perl "$@" ;;
esac
