/** Stored verdicts: the same bytes need not answer the same questions again. */

import { stat } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { canonicalJson, type Json, sha256 } from '../digest.ts'
import { makeFolder, writeDurably } from '../host/files.ts'
import { listTree } from '../host/hash-file.ts'
import { readRecord } from '../host/json-file.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { readRegular } from '../host/regular-file.ts'
import { unlessMissing } from '../host/unless-missing.ts'
import { type ImageVerification, imageVerification } from '../report/verification.ts'

const verdict = z.strictObject({ questions: z.string(), folder: z.string(), verification: imageVerification })

/** All code that runs while a file is verified, by its path in this project: a change in any of it invalidates verdicts. */
export const questioningCode = [
  'src/verify',
  'src/contract',
  'src/guest',
  'src/export',
  'src/qemu',
  'src/report',
  'src/debian/disk-usage.ts',
  'src/config',
  'src/targets',
  'src/formats',
  'src/disk',
  'src/host',
  'src/template.ts',
  'src/arch.ts',
  'src/digest.ts',
  'src/errors.ts',
  'src/error-codes.ts',
  'src/redact.ts',
  'src/text.ts',
  'templates',
  'package-lock.json',
] as const

const project = fileURLToPath(new URL('../../', import.meta.url))

/**
 * The npm package has JavaScript, and a `package.json` in place of a lock file: its version stands for everything in the
 * package.
 */
const isPackaged = import.meta.url.endsWith('.js')

function placeOf(path: string): string {
  if (!isPackaged) return path
  return path === 'package-lock.json' ? '../package.json' : path.replace(/\.ts$/, '.js')
}

/**
 * A digest of everything that a verdict depends on in addition to the file: this program, and what it expects.
 * @param folder where the program is
 */
export async function digestQuestions(facts: Json, folder = project): Promise<string> {
  const program = questioningCode.map((path) => {
    const full = join(folder, placeOf(path))
    return extname(path) === '' ? listTree(full) : readRegular(full).then(sha256)
  })
  return sha256(canonicalJson({ program: await Promise.all(program), facts }))
}

/** The stored verdict on a file with this content and target, if it answers these questions. */
export async function readVerdict(
  outFolder: string,
  image: Pick<ImageVerification, 'sha256' | 'target'>,
  questions: string,
): Promise<ImageVerification | undefined> {
  const kept = await readKept(outFolder, image)
  // Another version of this program may have asked other questions: the file is then verified again.
  const answers = kept?.questions === questions && kept.folder === (await identityOf(outFolder))
  return answers ? { ...kept.verification, cached: true } : undefined
}

export async function writeVerdict(
  outFolder: string,
  verification: ImageVerification,
  questions: string,
): Promise<void> {
  await makeFolder(outFolderAt(outFolder).verdicts)
  await writeDurably(
    verdictPath(outFolder, verification),
    `${JSON.stringify({ questions, folder: await identityOf(outFolder), verification }, null, 2)}\n`,
  )
}

interface Content {
  readonly sha256: string
  readonly target: string
}

/** The verdict on a file with this content and target that was made in this folder, by any version of this program. */
export async function findVerdict(outFolder: string, image: Content): Promise<ImageVerification | undefined> {
  const kept = await readKept(outFolder, image)
  return kept?.folder === (await identityOf(outFolder)) ? kept?.verification : undefined
}

/** The same, wherever it was made: for a folder whose origin the user vouches for. */
export async function findAnyVerdict(folder: string, image: Content): Promise<ImageVerification | undefined> {
  return (await readKept(folder, image))?.verification
}

// --- internal ---

/**
 * A digest of how the filesystem identifies a folder. Whoever passes on a folder cannot know that of the copy, so none of the
 * verdicts in it can exempt a file from verification.
 */
async function identityOf(folder: string): Promise<string> {
  const found = await unlessMissing(folder, () => stat(folder, { bigint: true }))
  return sha256(`${found?.dev} ${found?.ino} ${found?.birthtimeNs}`)
}

/** A file whose name and content disagree is not a verdict. */
async function readKept(
  outFolder: string,
  image: { readonly sha256: string; readonly target: string | null },
): Promise<z.output<typeof verdict> | undefined> {
  const kept = await readRecord(verdictPath(outFolder, image), verdict)
  const isOwn = kept?.verification.sha256 === image.sha256 && kept.verification.target === image.target
  return isOwn ? kept : undefined
}

function verdictPath(
  outFolder: string,
  image: { readonly sha256: string; readonly target: string | null },
): string {
  return join(outFolderAt(outFolder).verdicts, `${image.sha256}-${image.target}.json`)
}
