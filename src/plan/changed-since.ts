/** Which variants would come out differently than at an earlier revision of the repository. */

import { access, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { z } from 'zod'
import { exitCodes, PipelineError } from '../errors.ts'
import { execa } from '../host/execa.ts'
import { findCheckout, writeTree } from '../host/git.ts'
import { parseJson } from '../text.ts'

/** What identifies a variant's build: the keys of all its layers, and the export settings of its files. */
export interface Identity {
  readonly variant: string
  readonly layers: readonly { readonly key: string }[]
  readonly exports: Readonly<Record<string, string>>
}

/** The part of `plan --json` that says what would be built; plans of older programs have no `exports`. */
const planSchema = z.array(
  z.object({
    variant: z.string(),
    layers: z.array(z.object({ key: z.string() })),
    exports: z.record(z.string(), z.string()).optional(),
  }),
)

export type EarlierPlan = z.output<typeof planSchema>

export interface EarlierRequest {
  /** The pipeline as it is now. */
  readonly pipeline: string
  readonly revision: string
  /** Options for both plans, as command-line arguments. */
  readonly options: readonly string[]
  /** Empty folder for the revision's files. */
  readonly workFolder: string
  readonly signal: AbortSignal
}

/** What a push event reports as the previous commit when it creates a branch. */
const noCommit = /^0+$/

/**
 * Makes the plan of a revision with that revision's own program, since keys also depend on the program. Returns a reason
 * instead if there is no such plan; everything then counts as changed.
 * @throws PipelineError `no-checkout`, `unknown-revision`
 */
export async function planEarlier(
  request: EarlierRequest,
): Promise<{ readonly plan: EarlierPlan } | { readonly reason: string }> {
  const { pipeline, revision, workFolder, options, signal } = request
  if (noCommit.test(revision)) return { reason: 'there was no commit before' }
  const checkout = await findCheckout(pipeline)
  if (checkout === undefined) {
    throw new PipelineError({
      code: 'no-checkout',
      message: `${pipeline} is not in a Git checkout: cannot tell what has changed since ${revision}`,
      hint: 'leave out --changed-since, or clone the repository.',
      exitCode: exitCodes.badInput,
    })
  }
  const tree = join(workFolder, 'tree')
  await writeTree(checkout.top, revision, tree)
  await symlink(join(checkout.top, 'node_modules'), join(tree, 'node_modules')).catch(() => undefined)
  // A pipeline in its own repository does not contain the program: this one builds it, then as now.
  const own = join(tree, 'bin', 'systemvm-image.js')
  const program = await access(own).then(
    () => own,
    () => fileURLToPath(new URL('../../bin/systemvm-image.js', import.meta.url)),
  )
  const words = ['plan', '--all', '--json', '--pipeline', join(tree, checkout.path)]
  const result = await execa(
    process.execPath,
    [program, ...words, '--out', join(workFolder, 'out'), ...options],
    {
      reject: false,
      timeout: 300_000,
      cancelSignal: signal,
    },
  )
  signal.throwIfAborted()
  const hasPlan = result.exitCode === 0
  const parsed = planSchema.safeParse(hasPlan ? parseJson(result.stdout) : undefined)
  if (parsed.success) return { plan: parsed.data }
  const said = hasPlan
    ? 'its plan has a different format'
    : (result.stderr ?? '').trim().split('\n')[0] || result.shortMessage
  return { reason: `the program of ${revision} makes no plan: ${said}` }
}

/** Whether a variant would come out differently. */
export function hasChanged({ variant, layers, exports }: Identity, earlier: EarlierPlan): boolean {
  const before = earlier.find((candidate) => candidate.variant === variant)
  if (before?.exports === undefined) return true
  const keys = (list: readonly { readonly key: string }[]) => list.map(({ key }) => key).join(' ')
  if (keys(before.layers) !== keys(layers)) return true
  return Object.entries(exports).some(([target, digest]) => before.exports?.[target] !== digest)
}
