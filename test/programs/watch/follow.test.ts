import { spawnSync } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { follow } from '../../support/follow.ts'

const path = useFolder()

it('notices a file that sed changes, and what is written to it after that', async () => {
  const file = path('stage.sh')
  writeFileSync(file, 'anew\n')
  const { noticed } = await follow(file)
  await noticed(() => spawnSync('sed', ['-i', 's/anew/by sed/', file]))
  expect(readFileSync(file, 'utf8')).toContain('by sed')
  await noticed(() => writeFileSync(file, 'in place after that\n'))
})
