/**
 * Every program, Python module, unit, kernel module, iptables extension and path that CloudStack's tree uses is in the
 * image, or its absence has a reason in `inventory/absent.ts`. Reads the images of the last build of each variant, or the
 * one that SYSTEMVM_TEST_IMAGE names; boots nothing.
 */

import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { readReport, systemvmImage } from '../e2e/program.ts'
import { explainAbsence } from './inventory/absent.ts'
import { type ImageContent, readImage } from './inventory/image.ts'
import { readTreeNeeds, type TreeNeeds } from './inventory/tree.ts'

const outFolder = fileURLToPath(new URL('../../out', import.meta.url))
const signal = new AbortController().signal
const source = process.env.CLOUDSTACK_SOURCE
const named = process.env.SYSTEMVM_TEST_IMAGE
const images = named === undefined ? ['trixie-x86_64', 'bookworm-x86_64'] : [named]
const reason = source === undefined ? ' (CLOUDSTACK_SOURCE names no tree)' : ''

describe.skipIf(source === undefined)(`what CloudStack's tree needs${reason}`, () => {
  let tree: TreeNeeds
  let folder: string

  beforeAll(async () => {
    tree = await readTreeNeeds(source ?? '')
    mkdirSync(outFolder, { recursive: true })
    folder = mkdtempSync(join(outFolder, 'inventory-'))
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))

  it('is read from all of its parts, and is not little', () => {
    const count = (kind: string) => tree.needs.filter((need) => need.kind === kind).length
    expect(tree.unread).toEqual([])
    // Far fewer would be a reader that has lost its way in a script.
    expect(count('program')).toBeGreaterThan(100)
    expect(count('path')).toBeGreaterThan(150)
    expect(count('unit')).toBeGreaterThan(25)
    expect(count('python module')).toBeGreaterThan(30)
    expect(count('iptables extension')).toBeGreaterThan(10)
  })

  it.each(images)('is in the image of %s, or absent for a reason', async (image) => {
    const content = await readImage(await fileOf(image), folder, tree.compiledModules, signal)
    expect(unexplained(tree, content)).toEqual([])
  })

  it.each(images)('is absent from the image of %s where a reason says so', async (image) => {
    const content = await readImage(await fileOf(image), folder, tree.compiledModules, signal)
    const there = tree.needs.filter(
      (need) => explainAbsence(need, content.suite) !== undefined && content.lacks(need) === undefined,
    )
    expect(there.map(({ kind, name }) => `the ${kind} ${name} is there`)).toEqual([])
  })
})

function unexplained(tree: TreeNeeds, content: ImageContent): readonly string[] {
  return tree.needs.flatMap((need) => {
    const fault = tree.brings(need) ? undefined : content.lacks(need)
    if (fault === undefined || explainAbsence(need, content.suite) !== undefined) return []
    return [`the ${need.kind} ${need.name} ${fault}; used by ${[...need.by].join(', ')}`]
  })
}

const files = new Map<string, Promise<string>>()

/** An image's file: of a variant, what a build leaves, which is quick where nothing has changed. */
function fileOf(image: string): Promise<string> {
  if (image === named) return Promise.resolve(image)
  const building = files.get(image) ?? build(image)
  files.set(image, building)
  return building
}

async function build(variant: string): Promise<string> {
  const built = await systemvmImage(['build', '--no-verify', '--variant', variant, '--out', outFolder], 3000)
  expect(built.exitCode, built.stderr).toBe(0)
  const report = await readReport(outFolder)
  return join(outFolder, report.images.find(({ target }) => target === 'kvm')?.path ?? '')
}
