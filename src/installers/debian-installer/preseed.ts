/** An image's definition as answers for debian-installer: its preseed and its kernel arguments. */

import { archs } from '../../arch.ts'
import type { ExtraAnswer } from '../../config/debian-installer.ts'
import type { ImageFacts } from '../../config/image.ts'
import type { ResolvedImage } from '../../config/resolved.ts'
import { renderTemplate } from '../../template.ts'
import { recipeEntries } from './partman-recipe.ts'
import { earlyCommand, lateCommand } from './preseed-commands.ts'
import { checkValue, unfit } from './preseed-value.ts'

/** Everything the template reads. Each text is one line of debconf's language, checked when it is rendered. */
export interface PreseedView {
  readonly variant: string
  readonly suite: string
  readonly locale: string
  readonly keyboard: string
  readonly hostname: string
  readonly domain: string
  readonly timezone: string
  readonly mirror: {
    readonly protocol: string
    readonly host: string
    readonly directory: string
    /** HTTP proxy between the guest and the mirror. */
    readonly proxy: string | undefined
  }
  /** Archive areas other than `main`. */
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
  /** Shell commands run by the installer after it has read the preseed. */
  readonly earlyCommand: readonly string[]
  /** Shell commands run by the installer when the target is complete but still mounted. */
  readonly lateCommand: readonly string[]
  /** Whole lines: a site's own answers. */
  readonly extraAnswers: readonly string[]
}

/**
 * Decides what the preseed says.
 * @param host where the guest finds its proxy; without it, the guest connects to the mirror itself
 * @throws PipelineError `installer-disk` if partman's language cannot express the disk
 */
export function preseedView(
  image: ImageFacts & Pick<ResolvedImage, 'leaveOut'>,
  packages: readonly string[],
  extraAnswers: readonly ExtraAnswer[] = [],
  host?: InstallerHost,
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
      // The proxy knows how to reach the mirror, and a netboot image may not support https.
      protocol: host === undefined ? mirror.protocol.replace(':', '') : 'http',
      host: mirror.host,
      directory: mirror.pathname,
      proxy: host === undefined ? undefined : `http://${host.address}:${host.proxyPort}/`,
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
    earlyCommand: earlyCommand(image),
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
 * The text of the preseed file.
 * @throws PipelineError `preseed-value` for a value that debconf would interpret differently
 */
export function renderPreseed(view: PreseedView): string {
  return renderTemplate('preseed.cfg.hbs', view, {
    value: checkValue,
    continued: (found) => continued(checkList(found)),
    filled: (found) => continued(fill(checkList(found))),
    answers: (found) => ownAnswers(found),
  })
}

/** How the installer reaches the host that runs it. */
export interface InstallerHost {
  /** The host, as the guest sees it. */
  readonly address: string
  /** Port of the server with the preseed at `/preseed.cfg`, or another program's placeholder for it. */
  readonly httpPort: number | string
  /** UDP port that receives the installer's syslog. */
  readonly syslogPort: number
  /** TCP port of the proxy to the mirror. */
  readonly proxyPort: number
}

/**
 * The installer's kernel arguments. They repeat the host's address, because a preseed fetched over the network comes too late
 * for that. They log every debconf question, because the installer waits at a question forever and reports it nowhere else.
 */
export function installerKernelArguments(
  image: ImageFacts,
  host: Omit<InstallerHost, 'proxyPort'>,
): string[] {
  const udebSuite = image.mirror.udebs?.suite
  const words = [
    'auto=true',
    'priority=critical',
    `url=http://${host.address}:${host.httpPort}/preseed.cfg`,
    `hostname=${image.hostname}`,
    `domain=${image.domain}`,
    'interface=auto',
    // The installer takes its udebs from there; debootstrap and apt use the suite of the preseed.
    ...(udebSuite === undefined ? [] : [`mirror/udeb/suite=${udebSuite}`]),
    `log_host=${host.address}`,
    `log_port=${host.syslogPort}`,
    'DEBIAN_FRONTEND=text',
    'DEBCONF_DEBUG=5',
    'TERM=dumb',
    `console=${archs[image.arch].serialPort}`,
    // A panic ends the machine instead of leaving it hanging.
    'panic=-1',
    // The guest only runs Debian's own installer: mitigations would cost time for nothing.
    'mitigations=off',
    // Arguments after the dashes would be copied to the installed system's kernel command line; there are none.
    '---',
  ]
  for (const word of words) {
    if (/[\s"]/.test(word)) throw unfit(word, 'has a space or a quote, which ends a kernel argument')
  }
  return words
}

// --- the template ---

/** One value over several lines. They are indented; otherwise a line that begins with `#` would be lost as a comment. */
function continued(lines: readonly string[]): string {
  return lines.join(' \\\n  ')
}

/** The site's own lines, which come last; empty if there are none. */
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
  if (!Array.isArray(found)) throw unfit(found, 'is not a list')
  if (found.length === 0) throw unfit(found, 'is an empty list')
  return found.map(checkValue)
}
