#!/bin/sh
# configure_locale.sh: generates the only locale of the image, and makes it the default.
# uses: SYSTEM_LOCALE    leaves: /etc/default/locale, /etc/locale.gen, /usr/lib/locale/locale-archive
set -eu
: "${SYSTEM_LOCALE:?}"

# Without the locale, programs fall back to C and its ASCII.
works() {
  [ "$(LC_ALL=$SYSTEM_LOCALE locale charmap 2>/dev/null)" = UTF-8 ]
}

# LC_ALL too: CloudStack's programs parse the output of others, and an SSH client must not change its language.
printf 'LANG=%s\nLC_ALL=%s\n' "$SYSTEM_LOCALE" "$SYSTEM_LOCALE" >/etc/default/locale
printf '%s UTF-8\n' "$SYSTEM_LOCALE" >/etc/locale.gen

# Generating it takes long under emulation.
if ! works; then
  echo "configure_locale: $SYSTEM_LOCALE"
  locale-gen
fi

works
