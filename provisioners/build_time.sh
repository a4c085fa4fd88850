#!/bin/sh
# build_time.sh: records what this image is: its product, release, variant, and the date of its sources.
# uses: PRODUCT, RELEASE, VARIANT, SOURCE_DATE_EPOCH    leaves: /etc/systemvm-build
set -eu
: "${PRODUCT:?}" "${RELEASE:?}" "${VARIANT:?}" "${SOURCE_DATE_EPOCH:?}"

# The date of the sources, never the clock's: the same inputs give the same image.
date=$(date --utc --date="@$SOURCE_DATE_EPOCH" +%Y-%m-%dT%H:%M:%SZ)
cat >/etc/systemvm-build <<END
PRODUCT="$PRODUCT"
RELEASE="$RELEASE"
VARIANT="$VARIANT"
BUILD_TIME="$date"
SOURCE_DATE_EPOCH="$SOURCE_DATE_EPOCH"
END
chmod 0644 /etc/systemvm-build
echo "build_time: $PRODUCT $RELEASE $VARIANT of $date"
