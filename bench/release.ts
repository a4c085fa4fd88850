/** `release verify` of this checkout beside that of another commit, run by run, so that a busy host distorts neither. */

import { type ExecFileSyncOptions, execFileSync } from 'node:child_process'
import { cp, mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { main } from '../src/cli/main.ts'
import { type Checksums, computeChecksums } from '../src/export/checksums.ts'
import { renderList } from '../src/release/checksum-lists.ts'
import { type ReleaseRecord, releaseFiles } from '../src/release/record.ts'
import type { Statement } from '../src/release/statement.ts'
import { formatSeconds, formatTable } from '../src/report/format.ts'
import { builtWords, makeBuilt } from '../test/support/built.ts'
import { median } from './median.ts'

export interface ReleaseBench {
  /** Folder of this checkout. */
  readonly project: string
  /** What to compare with: a revision of this repository that has `release verify`. */
  readonly before: string
  readonly rounds: number
  /** Of files in the disk that is released, of bytes that do not pack; 0 for a disk with hardly anything in it. */
  readonly contentMiB: number
}

/** @param scratch a folder of its own */
export async function measureRelease(scratch: string, bench: ReleaseBench): Promise<string> {
  const { project, before, rounds, contentMiB } = bench
  await mkdir(scratch)
  const whole = await makeRelease(join(scratch, 'out'), contentMiB)
  const old = join(scratch, 'old-release')
  await makeOldRelease(whole, old)
  const other = join(scratch, 'before')
  checkOut(project, before, other)
  const sides = [
    { name: before, folder: other, release: old },
    { name: 'now', folder: project, release: old },
    { name: 'now, all of it', folder: project, release: whole },
  ].map((side) => ({ ...side, wall: [] as number[], processor: [] as number[] }))
  // The first run compiles the program, and shows that it can read this release.
  for (const { folder, release } of sides) timeVerify(folder, release)
  for (let round = 0; round < rounds; round += 1) {
    // Who goes first changes, so that no side always finds the files in memory.
    for (const side of round % 2 === 0 ? sides : [...sides].reverse()) {
      const { wall, processor } = timeVerify(side.folder, side.release)
      side.wall.push(wall)
      side.processor.push(processor)
    }
  }
  const ratio = (values: readonly number[], others: readonly number[]) =>
    median(values.map((seconds, round) => seconds / (others[round] ?? 0))).toFixed(2)
  const first = sides[0]
  const rows = sides.map(({ name, wall, processor }) => [
    name,
    formatSeconds(median(wall)),
    ratio(wall, first?.wall ?? []),
    formatSeconds(median(processor)),
    ratio(processor, first?.processor ?? []),
  ])
  const title = `release verify, a disk with ${contentMiB} MiB as qcow2 and raw`
  return formatTable(
    [[title, 'time', 'ratio', 'processor time', 'ratio'], ...rows],
    [false, true, true, true, true],
  )
}

// --- internal ---

/** Returns the folder of a release of the smallest pipeline. */
async function makeRelease(out: string, contentMiB: number): Promise<string> {
  await makeBuilt(out, { contentMiB })
  const exitCode = await main(['release', ...builtWords, '--out', out])
  if (exitCode !== 0) throw new Error(`release ended with ${exitCode}`)
  return join(out, 'release')
}

/** The same release without what the first releases did not have: old programs refuse what they do not know. */
async function makeOldRelease(whole: string, folder: string): Promise<void> {
  await cp(whole, folder, { recursive: true })
  const read = async (name: string) => JSON.parse(await readFile(join(folder, name), 'utf8'))
  const write = (name: string, text: string) => writeFile(join(folder, name), text)
  const record = (await read(releaseFiles.record)) as ReleaseRecord
  for (const { spdx } of record.variants) if (spdx !== undefined) await rm(join(folder, spdx))
  const variants = record.variants.map(({ spdx: _, freshness: __, ...rest }) => rest)
  await write(releaseFiles.record, JSON.stringify({ ...record, variants }))
  const names = (await readdir(folder)).filter((name) => !isList(name)).sort()
  const never = new AbortController().signal
  const checksums = new Map<string, Checksums>()
  for (const name of names) checksums.set(name, await computeChecksums(join(folder, name), never))
  const statement = (await read(releaseFiles.statement)) as Statement
  const subject = statement.subject.flatMap(({ name }) => {
    const found = checksums.get(name)
    return found === undefined ? [] : [{ name, digest: { sha256: found.sha256, sha512: found.sha512 } }]
  })
  await write(releaseFiles.statement, JSON.stringify({ ...statement, subject }))
  checksums.set(releaseFiles.statement, await computeChecksums(join(folder, releaseFiles.statement), never))
  for (const algorithm of ['md5', 'sha256', 'sha512'] as const)
    await write(releaseFiles.checksums[algorithm], renderList(checksums, algorithm))
}

function isList(name: string): boolean {
  return Object.values<string>(releaseFiles.checksums).includes(name)
}

/** A commit of this repository, with its packages installed. */
function checkOut(project: string, revision: string, folder: string): void {
  const output: ExecFileSyncOptions = { stdio: ['ignore', 'ignore', 'inherit'] }
  const named = ['rev-parse', '--verify', '--end-of-options', `${revision}^{commit}`]
  const commit = execFileSync('git', named, { cwd: project, encoding: 'utf8' }).trim()
  execFileSync('git', ['clone', '--quiet', '--no-checkout', '--', project, folder], output)
  execFileSync('git', ['checkout', '--quiet', '--detach', commit], { ...output, cwd: folder })
  const words = ['ci', '--prefer-offline', '--no-audit', '--no-fund', '--silent']
  execFileSync('npm', words, { ...output, cwd: folder })
}

/** Seconds of one verification. */
function timeVerify(folder: string, release: string): { readonly wall: number; readonly processor: number } {
  const program = join(folder, 'bin', 'systemvm-image.js')
  const timed = 'TIMEFORMAT="%R %U %S"; { time "$@" >/dev/null 2>&1; } 2>&1'
  const words = ['-c', timed, 'bash', process.execPath, program, 'release', 'verify', release]
  const env = { ...process.env, LC_ALL: 'C' }
  const times = execFileSync('bash', words, { encoding: 'utf8', env })
  const [wall = 0, user = 0, system = 0] = times.trim().split(' ').map(Number)
  return { wall, processor: user + system }
}
