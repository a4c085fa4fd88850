/** The files of the last build, as they are found before they are verified. */

import { mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import type { ResolvedImage } from '../../../src/config/resolved.ts'
import { sha256 } from '../../../src/digest.ts'
import { builtCandidates } from '../../../src/verify/candidates.ts'
import { useFolder } from '../../support/folder.ts'
import { makeLargeReport } from '../../support/large-report.ts'

const path = useFolder()

it('are those that the build made, and no others under their names', async () => {
  const report = makeLargeReport(1)
  const images = report.images.map((image) => ({ ...image, sha256: sha256(image.path) }))
  const write = (name: string, content: string) => writeFileSync(path('out', name), content)
  mkdirSync(path('out', 'images'), { recursive: true })
  write('report.json', JSON.stringify({ ...report, images }))
  for (const image of images) write(image.path, image.path)
  const { variant } = report.image
  const image = { variant, verification: { contract: 'cloudstack' }, checks: [] } as unknown as ResolvedImage
  const find = () => builtCandidates(image, path('out'), new AbortController().signal)

  expect((await find()).map(({ file }) => file)).toEqual(images.map((one) => path('out', one.path)))
  const [first = ''] = images.map((one) => one.path)
  write(first, 'other bytes')
  await expect(find()).rejects.toMatchObject({
    code: 'no-image',
    message: `${path('out', first)} is not what the last build made: sha256 ${sha256('other bytes')}, expected ${sha256(first)}`,
  })
  rmSync(path('out', first))
  await expect(find()).rejects.toMatchObject({ code: 'disk-unreadable' })
})
