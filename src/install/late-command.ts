/** What debian-installer does last, so that the target is what the bootstrap installer leaves. */

import type { ImageFacts } from '../config/image.ts'
import { dpkgExcludes, renderSources } from './base.ts'
import { unfit } from './preseed-value.ts'

/**
 * Makes the target what the bootstrap installer leaves. The installer runs it as one line by `sh -c`, and nothing in it
 * may need a backslash, which debconf keeps for itself.
 */
export function lateCommand(image: ImageFacts): readonly string[] {
  const { name, groups } = image.account
  const account =
    groups.length === 0 ? [] : [`in-target usermod --groups ${quote(groups.join(','))} ${quote(name)}`]
  const commands = [
    'set -e',
    'rm -f /target/etc/initramfs-tools/conf.d/driver-policy',
    'in-target update-initramfs -u -k all',
    // The bootstrap installer makes the groups that no package has made; this one would leave them out.
    ...groups.map((group) => `in-target groupadd --force --system ${quote(group)}`),
    ...account,
    ...writeLines('/target/etc/dpkg/dpkg.cfg.d/systemvm', dpkgExcludes),
    'rm -rf /target/usr/share/doc/* /target/usr/share/info/* /target/usr/share/lintian/*',
    'in-target find /usr/share/man -mindepth 2 ! -type d -delete',
    'rm -f /target/etc/apt/apt.conf.d/00InstallRecommends /target/etc/apt/apt.conf.d/00trustcdrom',
    'rm -f /target/etc/apt/sources.list',
    ...writeLines(
      '/target/etc/apt/sources.list.d/debian.sources',
      renderSources(image).trimEnd().split('\n'),
    ),
    'rm -f /target/etc/ssh/ssh_host_*_key /target/etc/ssh/ssh_host_*_key.pub',
    'rm -f /target/var/lib/dbus/machine-id /target/var/lib/systemd/random-seed',
    ': > /target/etc/machine-id',
    // Every later command in the target takes the installer's own away, and this one with it: the last step writes it.
    ...writeLines('/tmp/keep-daemons-off', [
      'echo "#!/bin/sh" >/target/usr/sbin/policy-rc.d',
      'echo "exit 101" >>/target/usr/sbin/policy-rc.d',
      'chmod 755 /target/usr/sbin/policy-rc.d',
    ]),
    'sed -i "2i . /tmp/keep-daemons-off" /usr/lib/finish-install.d/95umount',
    // The last, because everything above may still have to resolve a name. A link would lead out of the target.
    'rm -f /target/etc/resolv.conf',
    ...writeLines('/target/etc/resolv.conf', ['# Written when the machine learns its name servers.']),
  ]
  return commands.map((command, index) => (index === commands.length - 1 ? command : `${command};`))
}

function writeLines(path: string, lines: readonly string[]): readonly string[] {
  return lines.map((line, index) => `echo ${quote(line)} ${index === 0 ? '>' : '>>'} ${path}`)
}

function quote(word: string): string {
  if (word.includes("'")) throw unfit(word, 'has a quote, which the installer would read as its own')
  return `'${word}'`
}
