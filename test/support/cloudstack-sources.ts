/** A small tree in the form of CloudStack's sources, and what CloudStack's own build packs from it. */

import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'

const files = [
  'agent/pom.xml',
  'engine/pom.xml',
  'server/pom.xml',
  'scripts/util/ipmi.py',
  'scripts/util/keystore-cert-import',
  'scripts/util/keystore-setup',
  'systemvm/patch-sysvms.sh',
  'systemvm/debian/.project',
  'systemvm/debian/etc/logrotate.conf',
  'systemvm/debian/etc/logrotate.d/haproxy',
  'systemvm/debian/etc/sysctl.conf',
  'systemvm/debian/opt/cloud/bin/.gitignore',
  'systemvm/debian/opt/cloud/bin/login.py',
  'systemvm/debian/opt/cloud/bin/setup/bootstrap.sh',
  'systemvm/debian/opt/cloud/bin/vr_cfg.sh~',
  'systemvm/debian/root/reconfigLB.sh',
  'systemvm/debian/var/www/html/latest/.htaccess',
]

/** The part of it that is in the archive, by path, with its modes. */
export const packedFiles = {
  'etc/': '755',
  'etc/logrotate.conf': '644',
  'etc/logrotate.d/': '755',
  'etc/logrotate.d/haproxy': '644',
  'etc/sysctl.conf': '755',
  'opt/': '755',
  'opt/cloud/': '755',
  'opt/cloud/bin/': '755',
  'opt/cloud/bin/keystore-cert-import': '755',
  'opt/cloud/bin/keystore-setup': '755',
  'opt/cloud/bin/login.py': '644',
  'opt/cloud/bin/setup/': '755',
  'opt/cloud/bin/setup/bootstrap.sh': '755',
  'root/': '755',
  'root/reconfigLB.sh': '755',
  'var/': '755',
  'var/www/': '755',
  'var/www/html/': '755',
  'var/www/html/latest/': '755',
  'var/www/html/latest/.htaccess': '755',
}

/** Writes the tree, with modes that an umask has changed. */
export function writeSources(folder: string, mode = 0o644): void {
  for (const path of files) {
    const file = join(folder, path)
    mkdirSync(dirname(file), { recursive: true })
    writeFileSync(file, `${path}\n`)
    chmodSync(file, mode)
  }
}
