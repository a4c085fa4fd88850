#!/bin/sh
# install_systemvm_packages.sh: every package of the system VM, configured as if answered by hand.
# uses: PACKAGES (by spaces)    leaves: /etc/default/sysstat, the packages
set -eu
: "${PACKAGES:?}"

# Sets `missing`. One query for all: each process is dear under emulation. It fails when a name is unknown, that is, missing.
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
  echo "install_systemvm_packages: installing$missing"
  debconf-set-selections <<'END'
iptables-persistent iptables-persistent/autosave_v4 boolean false
iptables-persistent iptables-persistent/autosave_v6 boolean false
END
  # Java's alternatives include manual pages, and fail without their folder.
  mkdir -p /usr/share/man/man1
  apt-get -q -o APT::Update::Error-Mode=any -o Acquire::Languages=none update
  # shellcheck disable=SC2086 # a list of words
  apt-get -qy --no-install-recommends install $missing
  find_missing
fi

# debconf's answer and the file that it stands for: the base had no answers to give.
debconf-set-selections <<'END'
sysstat sysstat/enable boolean true
END
echo 'ENABLED="true"' >/etc/default/sysstat

# Where nobody answered, iptables-persistent has saved the rules of the machine that the base was made on.
rm -f /etc/iptables/rules.v4 /etc/iptables/rules.v6

[ -z "$missing" ] || { echo "install_systemvm_packages: not installed:$missing" >&2; exit 1; }
# A postinst that could not run Java leaves no key store, and no error.
[ -s /etc/ssl/certs/java/cacerts ]
echo 'install_systemvm_packages: all there'
