/** Stored verdicts: the same bytes need not answer the same questions again. */

import { mkdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { canonicalJson, type Json, listTree, sha256, sha256File } from '../digest.ts'
import { writeDurably } from '../host/files.ts'
import { outFolderAt } from '../host/out-folder.ts'
import { type ImageVerification, imageVerification } from '../report/verification.ts'

const verdict = z.strictObject({ questions: z.string(), verification: imageVerification })

/** All that runs while a file is verified, by its path in this project: a change in any of it asks anew. */
export const questioningCode = [
  'src/verify',
  'src/contract',
  'src/guest',
  'src/export',
  'src/qemu',
  'src/report',
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
  'templates',
  'package-lock.json',
] as const

const project = fileURLToPath(new URL('../../', import.meta.url))

/**
 * A digest of everything a verdict depends on besides the file: this program, and what it expects.
 * @param folder where the program is
 */
export async function digestQuestions(facts: Json, folder = project): Promise<string> {
  const program = questioningCode.map((path) => {
    const full = join(folder, path)
    return extname(path) === '' ? listTree(full) : sha256File(full)
  })
  return sha256(canonicalJson({ program: await Promise.all(program), facts }))
}

/** The stored verdict on a file with this content and target, if it answers these questions. */
export async function readVerdict(
  outFolder: string,
  image: Pick<ImageVerification, 'sha256' | 'target'>,
  questions: string,
): Promise<ImageVerification | undefined> {
  try {
    const text = await readFile(verdictPath(outFolder, image), 'utf8')
    const kept = verdict.parse(JSON.parse(text))
    return kept.questions === questions ? { ...kept.verification, cached: true } : undefined
  } catch {
    // Missing, or written by another version of this program: the file is verified again.
    return undefined
  }
}

export async function writeVerdict(
  outFolder: string,
  verification: ImageVerification,
  questions: string,
): Promise<void> {
  await mkdir(outFolderAt(outFolder).verdicts, { recursive: true })
  await writeDurably(
    verdictPath(outFolder, verification),
    `${JSON.stringify({ questions, verification }, null, 2)}\n`,
  )
}

/** The stored verdict on a file with this content and target, by any version of this program; undefined if none. */
export async function findVerdict(
  outFolder: string,
  image: { readonly sha256: string; readonly target: string },
): Promise<ImageVerification | undefined> {
  try {
    return verdict.parse(JSON.parse(await readFile(verdictPath(outFolder, image), 'utf8'))).verification
  } catch {
    return undefined
  }
}

function verdictPath(
  outFolder: string,
  image: { readonly sha256: string; readonly target: string | null },
): string {
  return join(outFolderAt(outFolder).verdicts, `${image.sha256}-${image.target}.json`)
}
