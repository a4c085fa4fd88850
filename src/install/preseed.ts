/** The definition of an image as answers for debian-installer: its preseed and its kernel arguments. */

import type { ExtraAnswer } from '../config/debian-installer.ts'
import type { Disk, ImageFacts, Partition } from '../config/image.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { renderTemplate } from '../render/template.ts'
import { dpkgExcludes, renderSources } from './base.ts'

/** Everything the template reads. Each text is one line of debconf's language, checked when it is rendered. */
export interface PreseedView {
  readonly variant: string
  readonly suite: string
  readonly locale: string
  readonly keyboard: string
  readonly hostname: string
  readonly domain: string
  readonly timezone: string
  readonly mirror: { readonly protocol: string; readonly host: string; readonly directory: string }
  /** Archive areas beside `main`. */
  readonly components: {
    readonly contrib: boolean
    readonly nonFree: boolean
    readonly nonFreeFirmware: boolean
  }
  readonly account: { readonly name: string; readonly fullName: string }
  readonly kernelPackage: string
  /** partman's expert recipe: its name, then one line per partition. */
  readonly recipe: readonly string[]
  readonly packages: readonly string[]
  /** Shell commands run by the installer when the target is complete but still mounted. */
  readonly lateCommand: readonly string[]
  /** Whole lines: what a site answers beside all this. */
  readonly extraAnswers: readonly string[]
}

/**
 * Decides what the preseed says.
 * @throws PipelineError `installer-disk` where the disk cannot be said in partman's language
 */
export function preseedView(
  image: ImageFacts,
  packages: readonly string[],
  extraAnswers: readonly ExtraAnswer[] = [],
): PreseedView {
  const mirror = new URL(image.mirror.debian)
  const has = (component: string) => image.mirror.components.includes(component)
  return {
    variant: image.variant,
    suite: image.suite,
    locale: image.locale,
    keyboard: image.keyboard,
    hostname: image.hostname,
    domain: image.domain,
    timezone: image.timezone,
    mirror: {
      protocol: mirror.protocol.replace(':', ''),
      host: mirror.host,
      directory: mirror.pathname,
    },
    components: {
      contrib: has('contrib'),
      nonFree: has('non-free'),
      nonFreeFirmware: has('non-free-firmware'),
    },
    account: {
      name: image.account.name,
      fullName: image.account.fullName === '' ? image.account.name : image.account.fullName,
    },
    kernelPackage: image.kernelPackage,
    recipe: [`${image.name} ::`, ...recipeEntries(image.disk)],
    packages: [...new Set(packages)].sort(),
    lateCommand: lateCommand(image),
    extraAnswers: extraAnswers.map(answerLine),
  }
}

/** An answer as a line of debconf's language. */
function answerLine(answer: ExtraAnswer): string {
  const { owner, question, type } = answer
  const value =
    answer.type === 'note' ? '' : answer.type === 'multiselect' ? answer.value.join(', ') : `${answer.value}`
  return [owner, question, type, ...(value === '' ? [] : [value])].join(' ')
}

/** The questions that a preseed answers. */
export function answeredQuestions(preseed: string): ReadonlySet<string> {
  const lines = preseed.replaceAll(/ \\\n\s*/g, ' ').split('\n')
  return new Set(lines.flatMap((line) => /^[^#\s]\S* (\S+) /.exec(`${line} `)?.[1] ?? []))
}

/**
 * The preseed file as text.
 * @throws PipelineError `preseed-value` for a value that debconf would read as something else
 */
export function renderPreseed(view: PreseedView): string {
  return renderTemplate('preseed.cfg.hbs', view, {
    value: checkValue,
    continued: (found) => continued(checkList(found)),
    filled: (found) => continued(fill(checkList(found))),
    answers: (found) => ownAnswers(found),
  })
}

/** How the installer reaches the host that it is run from. */
export interface InstallerHost {
  /** The host, as the guest sees it. */
  readonly address: string
  /** Port of the server that has the preseed as `/preseed.cfg`, or another program's placeholder for it. */
  readonly httpPort: number | string
  /** UDP port that receives the installer's syslog. */
  readonly syslogPort: number
}

/**
 * What stands on the installer's kernel line. Names the host again, because a preseed that is fetched over the network
 * comes too late for that; and asks for every debconf question to be logged, because the installer waits at a question
 * for ever and says so nowhere else.
 */
export function installerKernelArguments(image: ImageFacts, host: InstallerHost): string[] {
  const udebSuite = image.mirror.udebs?.suite
  const words = [
    'auto=true',
    'priority=critical',
    `url=http://${host.address}:${host.httpPort}/preseed.cfg`,
    `hostname=${image.hostname}`,
    `domain=${image.domain}`,
    'interface=auto',
    // The installer's own packages from there; debootstrap and apt keep the suite of the preseed.
    ...(udebSuite === undefined ? [] : [`mirror/udeb/suite=${udebSuite}`]),
    `log_host=${host.address}`,
    `log_port=${host.syslogPort}`,
    'DEBIAN_FRONTEND=text',
    'DEBCONF_DEBUG=5',
    'TERM=dumb',
    'console=ttyS0',
    // A kernel that panics ends the machine, instead of waiting for somebody to look at it.
    'panic=-1',
    // The guest runs Debian's own installer and nobody else's programs: no reason to pay for mitigations.
    'mitigations=off',
    // What follows the dashes would be taken over into the installed system's own kernel line: nothing.
    '---',
  ]
  for (const word of words) {
    if (/[\s"]/.test(word)) throw unfit(word, 'has a space or a quote, which ends a kernel argument')
  }
  return words
}

// --- the disk ---

const bytesPerMiB = 1024 * 1024
/** partman counts in these. */
const bytesPerUnit = 1_000_000
/** Units left for the partition table, for alignment to whole MiB, and for the record before each logical partition. */
const slackUnits = 16
/** Less than this cannot hold the base system while it is being installed. */
const smallestGrowingUnits = 256

/**
 * A line per partition: minimum, priority, maximum, filesystem, and what to do with it. A fixed one has the same number
 * three times. The growing one asks for half of what is left as its minimum, so that the sum stays below the disk's
 * size whatever partman rounds, and has no maximum.
 */
function recipeEntries(disk: Disk): readonly string[] {
  const diskUnits = Math.floor((disk.sizeMiB * bytesPerMiB) / bytesPerUnit)
  const fixedUnits = disk.partitions.reduce((sum, partition) => sum + unitsOf(partition), 0)
  const rest = diskUnits - slackUnits - fixedUnits
  if (disk.partitions.filter((partition) => partition.grow).length !== 1 || !disk.partitions.at(-1)?.grow) {
    throw diskFault('exactly one partition must grow, and it must be the last')
  }
  if (rest < smallestGrowingUnits) {
    throw diskFault(
      `its partitions leave ${Math.max(rest, 0)} MB of ${diskUnits} MB for the last one, which needs ${smallestGrowingUnits} MB`,
    )
  }
  // partman makes primary partitions first, wherever they stand.
  const primaries = disk.partitions.map((partition) => partition.primary)
  if (primaries.lastIndexOf(true) > primaries.indexOf(false) && primaries.includes(false)) {
    throw diskFault('a primary partition stands after a logical one, and partman would change their order')
  }
  return disk.partitions.map((partition) => {
    const units = unitsOf(partition)
    const sizes = partition.grow ? `${Math.floor(rest / 2)} ${rest} -1` : `${units} ${units} ${units}`
    return `${sizes} ${partitionWords(partition).join(' ')} .`
  })
}

function unitsOf(partition: Partition): number {
  return partition.grow ? 0 : Math.ceil(((partition.sizeMiB ?? 0) * bytesPerMiB) / bytesPerUnit)
}

function partitionWords(partition: Partition): readonly string[] {
  const { filesystem, mount, primary, bootable, reservedPercent } = partition
  const place = [...(primary ? ['$primary{ }'] : []), ...(bootable ? ['$bootable{ }'] : [])]
  if (filesystem === 'swap') return ['linux-swap', ...place, 'method{ swap } format{ }']
  return [
    filesystem,
    ...place,
    `method{ format } format{ } use_filesystem{ } filesystem{ ${filesystem} }`,
    `mountpoint{ ${mount} }`,
    `reserved_for_root{ ${reservedPercent} }`,
  ]
}

function diskFault(message: string): PipelineError {
  return new PipelineError({
    code: 'installer-disk',
    message: `debian-installer cannot make this disk: ${message}`,
    hint: 'change disk in pipeline.ts.',
    exitCode: exitCodes.badInput,
  })
}

// --- the end of the installation ---

/**
 * Makes the target what the bootstrap installer leaves. The installer runs it as one line by `sh -c`, and nothing in it
 * may need a backslash, which debconf keeps for itself.
 */
function lateCommand(image: ImageFacts): readonly string[] {
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

// --- the template ---

/** One value over several lines. They are indented, or one that begins with `#` would be lost as a comment. */
function continued(lines: readonly string[]): string {
  return lines.join(' \\\n  ')
}

/** The lines of a site, which come last, or nothing. */
function ownAnswers(found: unknown): string {
  if (Array.isArray(found) && found.length === 0) return ''
  return `\n\n# This site's own answers\n${checkList(found).join('\n')}`
}

/** Words in lines of about 100 columns: an emulated installer takes a good part of a second to read each line. */
function fill(words: readonly string[]): readonly string[] {
  const lines: string[] = []
  for (const word of words) {
    const line = lines.at(-1)
    if (line === undefined || line.length + word.length > 98) lines.push(word)
    else lines[lines.length - 1] = `${line} ${word}`
  }
  return lines
}

function checkList(found: unknown): readonly string[] {
  if (!Array.isArray(found)) throw unfit(found, 'is no list')
  if (found.length === 0) throw unfit(found, 'is an empty list')
  return found.map(checkValue)
}

/** debconf's language has no quoting: a value is the rest of its line, and a backslash at its end continues it. */
function checkValue(found: unknown): string {
  if (typeof found === 'boolean') return String(found)
  if (typeof found !== 'string') throw unfit(found, 'is no text')
  if (found === '') throw unfit(found, 'is empty')
  // biome-ignore lint/suspicious/noControlCharactersInRegex: control characters are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(found)) throw unfit(found, 'has a newline or another control character')
  if (found !== found.trim()) throw unfit(found, 'begins or ends with a space')
  if (found.includes('\\')) throw unfit(found, 'has a backslash')
  return found
}

function unfit(found: unknown, why: string): PipelineError {
  return new PipelineError({
    code: 'preseed-value',
    message: `${JSON.stringify(found) ?? 'a missing value'} cannot stand in a preseed: it ${why}`,
    hint: 'change the value in pipeline.ts.',
    exitCode: exitCodes.badInput,
    details: { found },
  })
}
