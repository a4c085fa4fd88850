#!/bin/sh
# install_systemvm_packages.sh: installs all packages of the system VM, and answers their questions.
# uses: PACKAGES (by spaces), SOURCE_DATE_EPOCH    leaves: /etc/default/sysstat, the packages
set -eu
: "${PACKAGES:?}" "${SOURCE_DATE_EPOCH:?}"

# Sets `missing`. One query for all: processes are expensive under emulation. It fails if a name is unknown, that is, missing.
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

# Without an answer, iptables-persistent has saved the rules of the machine that the base was made on.
rm -f /etc/iptables/rules.v4 /etc/iptables/rules.v6

# A postinst that cannot run Java leaves no key store, and reports no error.
[ -s /etc/ssl/certs/java/cacerts ]
# Java's key store records when each certificate was added, under a seal over everything. Java always takes the clock.
python3 - /etc/ssl/certs/java/cacerts "$SOURCE_DATE_EPOCH" <<'END'
import hashlib
import struct
import sys

path, epoch = sys.argv[1], int(sys.argv[2])
with open(path, 'rb') as file:
    store = bytearray(file.read())


def seal():
    return hashlib.sha1('changeit'.encode('utf-16-be') + b'Mighty Aphrodite' + store[:-20]).digest()


def skip(at, width):
    return at + struct.calcsize(width) + struct.unpack_from(width, store, at)[0]


magic, version, count = struct.unpack_from('>3I', store)
if (magic, version, store[-20:]) != (0xFEEDFEED, 2, seal()):
    sys.exit(f'install_systemvm_packages: {path} is not a key store with the password that Debian gives it')
at = 12
for _ in range(count):
    (kind,) = struct.unpack_from('>I', store, at)
    if kind != 2:
        sys.exit(f'install_systemvm_packages: {path} has an entry of the kind {kind}, which is no certificate')
    at = skip(at + 4, '>H')
    struct.pack_into('>Q', store, at, epoch * 1000)
    at = skip(skip(at + 8, '>H'), '>I')
store[-20:] = seal()
with open(path, 'wb') as file:
    file.write(store)
END

[ -z "$missing" ] || { echo "install_systemvm_packages: not installed:$missing" >&2; exit 1; }
echo 'install_systemvm_packages: all there'
