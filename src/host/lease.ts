/**
 * A lock for filesystems on which other hosts may not see the kernel's locks. `<path>.<generation>` names its holder, who
 * renews it; when renewal stops, the next generation takes over. Files are only added with a higher number, never replaced:
 * the second of two successors finds the name taken, and an earlier holder finds a later generation.
 */

import { randomBytes } from 'node:crypto'
import { link, readdir, rm, stat, utimes } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes, PipelineError } from '../errors.ts'
import { withoutLinks, writeDurably } from './files.ts'
import { type Holder, hasEnded, readHolder } from './lock-holder.ts'
import { writeFile } from './writing.ts'

export interface Lease {
  /** Whether no one has taken over from us. */
  readonly isOurs: () => Promise<boolean>
  readonly renew: () => Promise<void>
  readonly release: () => Promise<void>
}

export interface LeaseTiming {
  /** Time between two renewals. */
  readonly beatMs: number
  /**
   * A lease counts as abandoned if the clocks say that it was not renewed for this long, and it is then not renewed for three
   * beats.
   */
  readonly silentMs: number
}

/** Clocks alone decide nothing: those of two hosts may differ, and a host may have been suspended. */
export const leaseTiming: LeaseTiming = { beatMs: 2_000, silentMs: 30_000 }

/**
 * Takes the lease, or returns its holder.
 * @throws PipelineError `lock-exhausted`
 */
export async function takeLease(
  path: string,
  own: Holder,
  timing: LeaseTiming = leaseTiming,
): Promise<Lease | { readonly other: Holder | undefined }> {
  for (;;) {
    const newest = await newestOf(path)
    if (newest > 0) {
      const file = `${path}.${newest}`
      const other = await readHolder(file)
      const isFree = other === undefined ? await isReleased(file) : await hasEnded(other)
      if (!isFree && (await isRenewed(file, timing))) return { other }
    }
    if (newest === lastGeneration) throw noGenerationLeft(`${path}.${newest}`)
    const file = `${path}.${newest + 1}`
    if (!(await create(file, JSON.stringify(own)))) continue
    // While we looked, others may have taken over in turn, and removed the name that we have just taken.
    if ((await newestOf(path)) === newest + 1) return leaseAt(path, newest + 1, own)
    await rm(file, { force: true })
  }
}

// --- internal ---

async function leaseAt(path: string, generation: number, own: Holder): Promise<Lease> {
  const file = `${path}.${generation}`
  await removeOld(path, generation)
  const isOurs = async () => (await newestOf(path)) === generation && isSame(await readHolder(file), own)
  return {
    isOurs,
    renew: async () => {
      const now = new Date()
      await utimes(file, now, now)
    },
    // The name stays, so that a successor still looking at an earlier generation finds it.
    release: async () => {
      if (await isOurs()) await writeDurably(file, released)
    },
  }
}

const released = 'released\n'

async function isReleased(file: string): Promise<boolean> {
  return (await stat(file).catch(() => undefined))?.size === released.length
}

function isSame(one: Holder | undefined, other: Holder): boolean {
  return JSON.stringify(one) === JSON.stringify(other)
}

/** The latest generation; 0 if there is none. */
async function newestOf(path: string): Promise<number> {
  return Math.max(0, ...(await generationsOf(path)))
}

/** At one holder per second, this takes thirty years to reach. */
const lastGeneration = 999_999_999

/** Other names do not belong to a lease: counting on from a larger number could exceed what a number can hold. */
const generationPattern = /^[1-9]\d{0,8}$/

async function generationsOf(path: string): Promise<readonly number[]> {
  const start = `${basename(path)}.`
  const names = await readdir(dirname(path))
  return names
    .filter((name) => name.startsWith(start))
    .map((name) => name.slice(start.length))
    .filter((rest) => generationPattern.test(rest))
    .map(Number)
}

function noGenerationLeft(file: string): PipelineError {
  return new PipelineError({
    code: 'lock-exhausted',
    message: `the lock file ${file} has the highest possible number: no other run can take it`,
    hint: 'no run made it. Remove it while no run uses this folder.',
    exitCode: exitCodes.hostNotFit,
  })
}

const oldMs = 3_600_000

/**
 * Keeps those that have just ended: a listing made while one generation goes and the next one comes may contain neither, and
 * someone would take what looks like no lease at all.
 */
async function removeOld(path: string, generation: number): Promise<void> {
  const earlier = (await generationsOf(path)).filter((one) => one < generation - 1)
  for (const one of earlier) {
    const ageMs = Date.now() - ((await renewedMs(`${path}.${one}`)) ?? Date.now())
    if (ageMs > oldMs) await rm(`${path}.${one}`, { force: true })
  }
}

/**
 * A link appears together with its content, and only one process can create it. Without links, the content comes a moment
 * later.
 */
async function create(file: string, content: string): Promise<boolean> {
  const draft = join(dirname(file), `.${basename(file)}-${randomBytes(4).toString('hex')}`)
  try {
    await writeFile(draft, content)
    await link(draft, file).catch((cause: NodeJS.ErrnoException) => {
      if (!withoutLinks.includes(cause.code ?? '')) throw cause
      return writeFile(file, content, { flag: 'wx' })
    })
    return true
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw cause
  } finally {
    await rm(draft, { force: true })
  }
}

async function isRenewed(file: string, { beatMs, silentMs }: LeaseTiming): Promise<boolean> {
  const before = await renewedMs(file)
  if (before === undefined) return false
  if (Math.abs(Date.now() - before) < silentMs) return true
  await sleep(3 * beatMs)
  const now = await renewedMs(file)
  return now !== undefined && now !== before
}

async function renewedMs(file: string): Promise<number | undefined> {
  return (await stat(file).catch(() => undefined))?.mtimeMs
}
