/** `pipeline.lock.yaml`: the inputs of a build, so that another machine uses the same ones. */

import { dirname, join, resolve as resolvePath } from 'node:path'
import { stringify } from 'yaml'
import { z } from 'zod'
import { archNames } from '../arch.ts'
import { isInstant } from '../config/mirror.ts'
import { parseYaml, YamlError } from '../config/yaml.ts'
import { archivesOf } from '../debian/archives.ts'
import type { PackageSet } from '../debian/package-set.ts'
import { verifyRelease } from '../debian/release.ts'
import { sha256 } from '../digest.ts'
import { exitCodes, PipelineError } from '../errors.ts'
import { readRegularText } from '../host/regular-file.ts'
import { hostTools } from '../host/tool-table.ts'
import type { Plan } from '../plan/plan.ts'
import type { Inputs } from './inputs.ts'

/** Name of the file, next to the pipeline. */
export const lockFile = 'pipeline.lock.yaml'

/** A lock for two variants has three hundred thousand. */
const mostCharacters = 4 * 1024 ** 2

const digest = z.string().regex(/^[0-9a-f]{64}$/)

const lockedVariant = z.strictObject({
  installer: z.string(),
  snapshot: z.string().nullable(),
  /** By suite. */
  archives: z.record(z.string(), z.strictObject({ url: z.string(), date: z.iso.datetime(), sha256: digest })),
  /** The installer's own files, by name; none for `bootstrap`, which is a tool. */
  files: z.record(z.string(), digest),
  /** Versions on the host. */
  tools: z.record(z.string(), z.string()),
  packages: z.record(
    z.string(),
    z.strictObject({ version: z.string(), architecture: z.string(), sha256: digest.nullable() }),
  ),
})

const lockSchema = z.strictObject({ version: z.literal(1), variants: z.record(z.string(), lockedVariant) })

export type Lock = Readonly<z.output<typeof lockSchema>>
export type LockedVariant = Readonly<z.output<typeof lockedVariant>>

/** A lock as it was read. */
export interface Locked {
  readonly path: string
  /** Checksum of the file. */
  readonly sha256: string
  readonly lock: Lock
}

/** The lock of a pipeline. */
export function lockPath({ pipeline }: { readonly pipeline: string }): string {
  return join(dirname(resolvePath(pipeline)), lockFile)
}

/** @throws PipelineError `lock-missing`, `lock-unreadable` */
export async function readLock(path: string): Promise<Locked> {
  const text = await readRegularText(path).catch((cause: unknown) => {
    throw new PipelineError({
      code: 'lock-missing',
      message: `there is no lock ${path}`,
      hint: 'build the image, then write it with: npm run image -- lock update',
      exitCode: exitCodes.badInput,
      cause,
    })
  })
  try {
    return { path, sha256: sha256(text), lock: lockSchema.parse(parseYaml(text, mostCharacters).toJS()) }
  } catch (cause) {
    const why = cause instanceof z.ZodError ? describeIssue(cause) : (cause as Error).message.split('\n')[0]
    const at = cause instanceof YamlError ? ` at line ${cause.place.line}, column ${cause.place.column}` : ''
    throw new PipelineError({
      code: 'lock-unreadable',
      message: `the lock ${path} cannot be read: ${why}${at}`,
      hint: 'restore the committed file, or remove it and write a new one with: npm run image -- lock update',
      exitCode: exitCodes.badInput,
      cause,
    })
  }
}

function describeIssue({ issues }: z.ZodError): string {
  const [issue] = issues
  if (issue === undefined) return 'it has a different format'
  return issue.path.length === 0 ? issue.message : `${issue.path.join('.')}: ${issue.message}`
}

/** The instants that a lock names, by variant. */
export function snapshotsIn({ variants }: Lock): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(variants).flatMap(([name, { snapshot }]) =>
      snapshot !== null && isInstant(snapshot) ? [[name, snapshot] as const] : [],
    ),
  )
}

/** The text of the lock, sorted by name, so that two of them differ only in the lines that matter. */
export function renderLock(lock: Lock): string {
  const head =
    '# What a build is made from. Written by `npm run image -- lock update`; `build --locked` enforces it.\n'
  return `${head}${stringify(lock, { sortMapEntries: true, lineWidth: 0 })}`
}

/** The lock of an image made from these inputs. */
export function lockOf(inputs: Inputs): LockedVariant {
  return {
    installer: inputs.installer,
    snapshot: inputs.snapshot,
    archives: Object.fromEntries(
      inputs.archives.map(({ suite, url, date, sha256 }) => [suite, { url, date, sha256 }]),
    ),
    files: Object.assign({}, ...inputs.layers.map(({ installerFiles }) => installerFiles)),
    tools: buildTools(Object.assign({}, ...inputs.layers.map(({ tools }) => tools))),
    packages: Object.fromEntries(
      inputs.packages.map(({ name, version, architecture, sha256 }) => [
        name,
        { version, architecture, sha256 },
      ]),
    ),
  }
}

/** The tools that a build requires and that report a version: others leave no trace in an image. */
export function buildTools(versions: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const tools = archNames.flatMap((arch) => hostTools(arch))
  const names = tools.flatMap(({ name, need }) => (need === 'build' ? [name] : []))
  return Object.fromEntries(
    Object.entries(versions).filter(([name, version]) => names.includes(name) && version !== 'unknown'),
  )
}

/**
 * The differences, as lines for people: `package openssl: 3.5.1-1 → 3.5.4-1`.
 * @param security names of packages whose new version is a security fix
 */
export function compareLocks(
  before: LockedVariant | undefined,
  after: LockedVariant,
  security: readonly string[] = [],
): readonly string[] {
  const lines: string[] = []
  const say = (what: string, old: unknown, now: unknown) => {
    if (old !== now) lines.push(`${what}: ${old ?? 'nothing'} → ${now ?? 'nothing'}`)
  }
  say('installer', before?.installer, after.installer)
  say('snapshot', before?.snapshot ?? undefined, after.snapshot ?? undefined)
  for (const suite of namesOf(before?.archives, after.archives)) {
    const [old, now] = [before?.archives[suite], after.archives[suite]]
    say(`archive ${suite}`, old?.url, now?.url)
    if (old?.sha256 !== now?.sha256)
      lines.push(`archive ${suite}: ${old?.date ?? 'nothing'} → ${now?.date ?? 'nothing'}`)
  }
  for (const name of namesOf(before?.files, after.files))
    say(`file ${name}`, before?.files[name], after.files[name])
  for (const name of namesOf(before?.tools, after.tools))
    say(`tool ${name}`, before?.tools[name], after.tools[name])
  for (const name of namesOf(before?.packages, after.packages)) {
    const [old, now] = [before?.packages[name], after.packages[name]]
    const version = security.includes(name) ? `${now?.version}, a security fix` : now?.version
    if (old?.version !== now?.version) say(`package ${name}`, old?.version, version)
    // A lock exists to catch the same version with different content.
    if (old?.version === now?.version)
      say(`package ${name} ${now?.version}, sha256`, old?.sha256, now?.sha256)
  }
  return lines
}

export interface LockOptions {
  /** Source of packages, instead of the mirror. */
  readonly packages?: PackageSet | undefined
  readonly signal: AbortSignal
}

/**
 * Checks what can be checked against a lock before a build: the host's tools, and the mirror if it will be used.
 * @throws PipelineError `lock-mismatch`, `lock-incomplete`, and the codes for a refused mirror
 */
export async function requireLocked(
  { image, base }: Plan,
  locked: Locked,
  tools: Readonly<Record<string, string>>,
  { packages, signal }: LockOptions,
): Promise<void> {
  const expected = variantOf(locked, image.variant)
  const releases =
    base.cached === undefined
      ? await Promise.all(
          archivesOf(image).map(async (request) => {
            const { date, sha256 } = await verifyRelease(request, { signal, source: packages?.source })
            return [request.suite, { url: request.url, date: date.toISOString(), sha256 }] as const
          }),
        )
      : undefined
  const found: LockedVariant = {
    ...expected,
    installer: image.installer,
    snapshot: image.mirror.snapshot ?? null,
    tools: buildTools(tools),
    ...(releases === undefined ? {} : { archives: Object.fromEntries(releases) }),
  }
  refuse(locked, image.variant, compareLocks(expected, found), exitCodes.hostNotFit)
}

/** @throws PipelineError `lock-mismatch`, `lock-incomplete` */
export function requireSameInputs(inputs: Inputs, locked: Locked): void {
  const differences = compareLocks(variantOf(locked, inputs.variant), lockOf(inputs))
  refuse(locked, inputs.variant, differences, exitCodes.buildFailed)
}

// --- internal ---

function namesOf(...maps: readonly (Readonly<Record<string, unknown>> | undefined)[]): readonly string[] {
  return [...new Set(maps.flatMap((map) => Object.keys(map ?? {})))].sort()
}

function variantOf({ path, lock }: Locked, variant: string): LockedVariant {
  const found = lock.variants[variant]
  if (found !== undefined) return found
  throw new PipelineError({
    code: 'lock-incomplete',
    message: `the lock ${path} has no variant ${variant}`,
    hint: `build it without --locked, then: npm run image -- lock update --variant ${variant}`,
    exitCode: exitCodes.badInput,
  })
}

const shownDifferences = 20

function refuse({ path }: Locked, variant: string, differences: readonly string[], exitCode: number): void {
  if (differences.length === 0) return
  const more = differences.length - shownDifferences
  const lines = [...differences.slice(0, shownDifferences), ...(more > 0 ? [`and ${more} more`] : [])]
  throw new PipelineError({
    code: 'lock-mismatch',
    message: [`${variant} does not match the lock ${path}:`, ...lines.map((line) => `  ${line}`)].join('\n'),
    hint: 'if that is what you want, build without --locked, and then: npm run image -- lock update',
    exitCode,
    details: { differences: [...differences] },
  })
}
