/** The first and last commands of debian-installer, which make the target match the bootstrap installer's result. */

import type { ImageFacts } from '../../config/image.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { renderSources } from '../../debian/archives.ts'
import { optionalMounts } from '../../disk/layout.ts'
import { dpkgExcludes, initramfsSettings, initramfsSettingsFile } from '../base-system.ts'
import { unfit } from './preseed-value.ts'

/** File that the target has only while packages are installed. */
const aptSettings = '/etc/apt/apt.conf.d/00while-installing'
/** The kernel's package makes an initramfs to boot from; later changes by other packages are deferred until the last one. */
const initramfsOnce = '/etc/kernel/postinst.d/zz-initramfs-once'
const updateSettings = '/etc/initramfs-tools/update-initramfs.conf'

/**
 * Prepares for the point right after debootstrap, when the installer runs the scripts in its own folder. From then on, dpkg
 * leaves out documentation, and apt leaves out translated descriptions. Prevents additions that suit the build machine, such
 * as tools for laptops or popularity-contest.
 */
export function earlyCommand(image: Pick<ResolvedImage, 'disk' | 'leaveOut'>): readonly string[] {
  const target = '/tmp/target'
  const hook = '/usr/lib/base-installer.d/10systemvm'
  const folders = [
    '/etc/dpkg/dpkg.cfg.d',
    '/etc/apt/apt.conf.d',
    '/etc/kernel/postinst.d',
    '/etc/initramfs-tools/conf.d',
  ]
  return sequence([
    'set -e',
    `mkdir -p ${folders.map((path) => target + path).join(' ')} /usr/lib/base-installer.d`,
    ...writeLines(`${target}/etc/dpkg/dpkg.cfg.d/systemvm`, dpkgExcludes(image)),
    ...writeLines(target + aptSettings, [
      'Acquire::Languages "none";',
      // apt would also use the installer's proxy for https, but that proxy does not support tunnels.
      'Acquire::https::Proxy "DIRECT";',
    ]),
    ...writeLines(target + initramfsSettingsFile, initramfsSettings(image.disk)),
    ...writeLines(target + initramfsOnce, [
      '#!/bin/sh',
      `sed -i s/^update_initramfs=.*/update_initramfs=no/ ${updateSettings}`,
    ]),
    ...writeLines(hook, [
      '#!/bin/sh',
      `cp -a ${target}/. /target/`,
      'rm -f /usr/lib/pre-pkgsel.d/10laptop-detect /usr/lib/pre-pkgsel.d/90popcon',
    ]),
    `chmod 755 ${hook} ${target}${initramfsOnce}`,
  ])
}

/**
 * Makes the target match the bootstrap installer's result. The installer runs this as one line by `sh -c`. It must not
 * contain a backslash, which debconf interprets.
 */
export function lateCommand(image: ImageFacts): readonly string[] {
  const { name, groups } = image.account
  const joined = groups.length === 0 ? '' : ` --groups ${quote(groups.join(','))}`
  return sequence([
    'set -e',
    `rm -f /target/etc/initramfs-tools/conf.d/driver-policy /target${initramfsOnce} /target${aptSettings}`,
    `sed -i s/^update_initramfs=.*/update_initramfs=yes/ /target${updateSettings}`,
    'in-target update-initramfs -u -k all',
    ...optionalMounts.map(
      ({ where, options }) =>
        `sed -E -i ${quote(`s#^UUID=[^ ]+ +${where} +[^ ]+ +[^ ]+#&,${options}#`)} /target/etc/fstab`,
    ),
    // The bootstrap installer creates groups that no package provides; usermod alone would leave them out.
    ...groups.map((group) => `in-target groupadd --force --system ${quote(group)}`),
    `in-target usermod --shell /bin/bash${joined} ${quote(name)}`,
    // debootstrap unpacks all its packages without dpkg's settings.
    'in-target find /usr/share/doc -mindepth 2 ! -type d ! -name copyright -delete',
    'rm -rf /target/usr/share/info/* /target/usr/share/lintian/*',
    'in-target find /usr/share/man -mindepth 2 ! -type d -delete',
    'rm -f /target/etc/apt/apt.conf.d/00InstallRecommends /target/etc/apt/apt.conf.d/00trustcdrom',
    // The installer's proxy no longer exists.
    'rm -f /target/etc/apt/sources.list /target/etc/apt/apt.conf',
    ...writeLines(
      '/target/etc/apt/sources.list.d/debian.sources',
      renderSources(image).trimEnd().split('\n'),
    ),
    'rm -f /target/etc/ssh/ssh_host_*_key /target/etc/ssh/ssh_host_*_key.pub',
    'rm -f /target/var/lib/dbus/machine-id /target/var/lib/systemd/random-seed',
    ': > /target/etc/machine-id',
    // If /tmp is a tmpfs, packages' leftovers here would stay forever, hidden by the mount.
    'rm -rf /target/tmp/* /target/tmp/.[!.]*',
    // Every later in-target command removes policy-rc.d, both the installer's and this one: the last step writes it.
    ...writeLines('/tmp/keep-daemons-off', [
      'echo "#!/bin/sh" >/target/usr/sbin/policy-rc.d',
      'echo "exit 101" >>/target/usr/sbin/policy-rc.d',
      'chmod 755 /target/usr/sbin/policy-rc.d',
    ]),
    'sed -i "2i . /tmp/keep-daemons-off" /usr/lib/finish-install.d/95umount',
    // Last, because all commands above may still resolve names. Removed first, since a link would lead out of the target.
    'rm -f /target/etc/resolv.conf',
    ...writeLines('/target/etc/resolv.conf', ['# Written when the machine learns its name servers.']),
  ])
}

/** One line of commands, as the words that a preseed continues. */
function sequence(commands: readonly string[]): readonly string[] {
  return commands.map((command, index) => (index === commands.length - 1 ? command : `${command};`))
}

function writeLines(path: string, lines: readonly string[]): readonly string[] {
  const [first = ':', ...others] = lines.map((line) => `echo ${quote(line)}`)
  return [`{ ${first}`, ...others, `} > ${path}`]
}

function quote(word: string): string {
  if (word.includes("'")) throw unfit(word, 'has a quote, which the installer would read as its own')
  return `'${word}'`
}
