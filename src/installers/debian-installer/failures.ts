/** The ways in which debian-installer fails, each with one message and its last output. */

import type { ErrorCode } from '../../error-codes.ts'
import { PipelineError } from '../../errors.ts'
import type { InstallerPhase } from './phases.ts'
import { udebAdvice } from './udebs.ts'

/** The installer's output up to the point where it stopped. */
export interface Evidence {
  readonly phase: InstallerPhase
  /** From its syslog, without the exchange with debconf. */
  readonly lines: readonly string[]
  /** What is wrong with the mirror or the connection to it, if that was a moment ago. */
  readonly mirrorFault: string | undefined
  /** From its console, which shows the question that it is waiting at. */
  readonly consoleLines: readonly string[]
  readonly logs: { readonly syslog: string; readonly serial: string }
}

/** One kind of halt: the questions that identify it, and its message. */
interface Halt {
  readonly questions: RegExp
  /** Pattern in the syslog that distinguishes this halt. */
  readonly sign?: RegExp
  /** Only if the mirror failed a moment before. */
  readonly isOfMirror?: true
  readonly code: ErrorCode
  readonly message: (evidence: Evidence) => string
  readonly hint: string
}

/** Most specific first. */
const halts: readonly Halt[] = [
  {
    questions: /^preseed\/retrieve_error$/,
    code: 'installer-preseed-missing',
    message: () => 'debian-installer could not fetch its preseed',
    hint: "Packer's HTTP server did not have it: see packer-installer-debug.log beside the report.",
  },
  {
    questions: /^preseed\/load_error$/,
    code: 'installer-preseed-syntax',
    message: () => 'debian-installer could not read its preseed: a line of it is not valid debconf syntax',
    hint: 'check it with: debconf-set-selections --checkonly; it is http/preseed.cfg beside the report.',
  },
  {
    questions: /^preseed\/(early|late)?_?command_failed$/,
    code: 'installer-command-failed',
    message: ({ lines }) =>
      `a command of the preseed failed${quoteLast(lines, /^(in-target|log-output|preseed|finish-install|late|\(process)/)}`,
    hint: 'its last lines are below; the command is at the end of http/preseed.cfg beside the report.',
  },
  {
    questions: /^netcfg\/|^ethdetect\//,
    code: 'installer-no-network',
    message: () => 'debian-installer got no network: no card that it supports, or no answer from DHCP',
    hint: "the machine's network is QEMU's own: look for its warnings in packer-installer-debug.log.",
  },
  {
    questions: /^localechooser\/|^debian-installer\/(locale|language|country)$/,
    code: 'installer-locale-unknown',
    message: () => 'debian-installer does not know the locale that it was given',
    hint: 'change locale in pipeline.ts: glibc must have a locale of that language and country.',
  },
  {
    questions: /^(keyboard-configuration|console-setup|console-keymaps-at)\//,
    code: 'installer-keyboard-unknown',
    message: () => 'debian-installer does not know the keyboard that it was given',
    hint: 'change keyboard in pipeline.ts.',
  },
  {
    questions: /^(mirror|retriever|anna|base-installer|bootstrap-base|debootstrap|apt-setup|pkgsel)\//,
    isOfMirror: true,
    code: 'installer-mirror-unusable',
    message: ({ mirrorFault }) => `debian-installer cannot continue without its mirror: ${mirrorFault}`,
    hint: 'check the network of this host, http_proxy and mirror.debian, and run the build again: what was downloaded is kept.',
  },
  {
    // The installer reports an unreachable mirror like one without the suite; only the former has no other suite either.
    questions: /^mirror\//,
    sign: /mirror does not have any suite symlinks/,
    code: 'installer-mirror-unusable',
    message: () => 'debian-installer cannot use the mirror: it is down, or not a Debian mirror',
    hint: 'check mirror.debian; what it answered is in installer-mirror.log beside the report.',
  },
  {
    questions: /^mirror\//,
    sign: /mirror does not support the specified release/,
    code: 'installer-mirror-lacks-suite',
    message: () => 'debian-installer finds no such suite on the mirror',
    hint: 'check mirror.debian and the suite; what it answered is in installer-mirror.log beside the report.',
  },
  {
    questions: /^mirror\//,
    code: 'installer-mirror-unusable',
    message: () => 'debian-installer cannot use the mirror',
    hint: 'check mirror.debian; what it answered is in installer-mirror.log beside the report.',
  },
  {
    questions: /^retriever\/|^anna\/|^debian-installer\/main-menu\/item-failure$/,
    sign: /\.udeb:$|retrieving .*-udeb .*|package retrieval failed/,
    code: 'installer-udeb-missing',
    message: ({ lines }) =>
      `the mirror does not serve one of debian-installer's own packages: ${missingUdeb(lines) ?? 'its name is below'}`,
    hint: udebAdvice,
  },
  {
    questions: /^anna\/no_kernel_modules$/,
    code: 'installer-kernel-mismatch',
    message: () =>
      "the mirror has no modules for the installer's kernel: the netboot files are older than the mirror",
    hint: 'upgrade the debian-installer-…-netboot package, or remove it, so that the files come from the mirror.',
  },
  {
    questions: /^retriever\/|^anna\//,
    code: 'installer-download-failed',
    message: () => 'debian-installer could not download its own packages',
    hint: 'the answer of the mirror is below; try again later, or use another mirror.',
  },
  {
    questions: /^partman-target\/no_root$|^partman-auto\/(no_free_space|unusable_space|select_disk)/,
    code: 'installer-no-disk',
    message: () =>
      'debian-installer did not partition the disk: there is no disk of that name, or the recipe does not fit',
    hint: 'check disk in pipeline.ts, and partman-auto/disk in http/preseed.cfg beside the report.',
  },
  {
    questions: /^partman/,
    code: 'installer-partitioning',
    message: () => 'debian-installer could not partition the disk',
    hint: 'check disk in pipeline.ts; the output of partman is below.',
  },
  {
    questions: /^(base-installer|bootstrap-base|debootstrap)\//,
    code: 'installer-base-failed',
    message: () => 'debian-installer could not install the base system',
    hint: "debootstrap's output is below.",
  },
  {
    questions: /^(pkgsel|apt-setup)\/|^debian-installer\/main-menu\/item-failure$/,
    sign: /Unable to locate package|has no installation candidate|unmet dependencies/,
    code: 'installer-package-unknown',
    message: ({ lines }) =>
      `debian-installer cannot install a package${quoteLast(lines, /Unable to locate package|no installation candidate|unmet dep/)}`,
    hint: 'check the packages of the stages, and mirror.components.',
  },
  {
    questions: /^grub-installer\//,
    code: 'installer-boot-loader',
    message: () => 'debian-installer could not install the boot loader',
    hint: "grub-installer's output is below.",
  },
  {
    questions: /^debian-installer\/main-menu\/item-failure$/,
    code: 'installer-step-failed',
    message: ({ lines }) => `a step of debian-installer failed${quoteLast(lines, /Menu item|failed|error/i)}`,
    hint: 'its output is below.',
  },
]

/** The installer is waiting for an answer that never comes. */
export function installerBlocked(question: string, evidence: Evidence): PipelineError {
  const said = (sign: RegExp) => evidence.lines.some((line) => sign.test(line))
  const halt = halts.find(
    ({ questions, sign, isOfMirror }) =>
      questions.test(question) &&
      (sign === undefined || said(sign)) &&
      (isOfMirror === undefined || evidence.mirrorFault !== undefined),
  )
  return installerError({
    code: halt?.code ?? 'installer-question',
    message:
      halt?.message(evidence) ??
      `debian-installer waits for an answer to ${question}, which the preseed does not give`,
    hint: halt?.hint ?? 'answer it in debianInstaller.extraAnswers of pipeline.ts.',
    question,
    evidence,
  })
}

export function installerRecipeSkipped(line: string, evidence: Evidence): PipelineError {
  return installerError({
    code: 'installer-recipe-skipped',
    message: `debian-installer chose its own partitions, because those of the pipeline do not fit: ${line}`,
    hint: 'raise disk.sizeMiB, or make the partitions smaller.',
    evidence,
  })
}

export function installerStalled(seconds: number, evidence: Evidence): PipelineError {
  return installerError({
    code: 'installer-stalled',
    message: `debian-installer has printed nothing for ${seconds} s in its phase "${evidence.phase}"`,
    hint: 'the machine or the mirror hangs; the last lines of both logs are below.',
    evidence,
  })
}

export function installerVanished(isPowerOff: boolean, evidence: Evidence): PipelineError {
  return installerError({
    code: 'installer-vanished',
    message: isPowerOff
      ? `debian-installer powered the machine off in its phase "${evidence.phase}", before it had finished`
      : `QEMU ended during debian-installer's phase "${evidence.phase}"`,
    hint: 'the last lines of both logs are below.',
    evidence,
  })
}

/** After the installation: the disk differs from the request. */
export function installerDiskDiffers(differences: readonly string[], log: string): PipelineError {
  return new PipelineError({
    code: 'installer-disk-differs',
    message: [
      'the disk from debian-installer is not what was asked for:',
      ...differences.map((line) => `  ${line}`),
    ].join('\n'),
    hint: `partman's output is in ${log}`,
    details: { differences, log },
  })
}

// --- internal ---

function installerError(fields: {
  readonly code: ErrorCode
  readonly message: string
  readonly hint: string
  readonly question?: string
  readonly evidence: Evidence
}): PipelineError {
  const { evidence, question } = fields
  const { phase, lines, consoleLines, logs } = evidence
  // The dialog on the console has the installer's own words.
  const dialog = consoleLines.filter((line) => !/\.\.\. \d+%/.test(line)).slice(-8)
  const asked = question === undefined ? [] : [`waits at ${question}`]
  return new PipelineError({
    code: fields.code,
    message: fields.message,
    hint: `${fields.hint} Its logs are ${logs.syslog} and ${logs.serial}`,
    details: {
      phase,
      ...(question === undefined ? {} : { question }),
      lastLines: [...lines.slice(-10), ...asked, ...dialog],
      logs,
    },
  })
}

function quoteLast(lines: readonly string[], pattern: RegExp): string {
  const line = lines.findLast((text) => pattern.test(text))
  return line === undefined ? '' : `: ${line}`
}

/** The missing package, from the line of wget that ends with `ERROR 404`. */
function missingUdeb(lines: readonly string[]): string | undefined {
  return lines.findLast((line) => /\.udeb:$/.test(line))?.match(/([^/]+\.udeb):$/)?.[1]
}
