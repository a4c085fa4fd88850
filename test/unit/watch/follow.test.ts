import { mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { expect, it } from 'vitest'
import { useFolder } from '../../support/folder.ts'
import { follow } from '../../support/follow.ts'

const path = useFolder()

it('notices a file however an editor writes it', async () => {
  const file = path('stage.sh')
  writeFileSync(file, 'one\n')
  const { noticed } = await follow(file)
  await noticed(() => writeFileSync(file, 'in place\n'))
  // sed -i, and editors that write to the side.
  await noticed(() => {
    writeFileSync(path('sedAbCd'), 'moved into place\n')
    renameSync(path('sedAbCd'), file)
  })
  await noticed(() => writeFileSync(file, 'in place after that\n'))
  // vim with a backup.
  await noticed(() => {
    renameSync(file, `${file}~`)
    writeFileSync(file, 'anew\n')
    rmSync(`${file}~`)
  })
  await noticed(() => rmSync(file))
  await noticed(() => writeFileSync(file, 'back\n'))
})

it('notices what happens anywhere in a folder, and a file that comes later', async () => {
  mkdirSync(path('files/deep'), { recursive: true })
  writeFileSync(path('files/deep/one'), '1')
  const { noticed } = await follow(path('files/deep/one'), path('files'), path('later.sh'))
  await noticed(() => writeFileSync(path('files/deep/two'), '2'))
  await noticed(() => mkdirSync(path('files/new/deeper'), { recursive: true }))
  await noticed(() => rmSync(path('files/deep'), { recursive: true }))
  await noticed(() => writeFileSync(path('later.sh'), 'a stage that was declared before it had a script'))
})

it('goes on where a path cannot be followed', async () => {
  writeFileSync(path('stage.sh'), 'one\n')
  symlinkSync('loop', path('loop'))
  const { noticed } = await follow(path('stage.sh'), path('loop'), path('stage.sh', 'in a file'))
  await noticed(() => writeFileSync(path('stage.sh'), 'two\n'))
})

it('leaves alone what lies beside', async () => {
  writeFileSync(path('stage.sh'), 'one\n')
  const { noticed, count } = await follow(path('stage.sh'))
  const before = count()
  writeFileSync(path('.stage.sh.swp'), 'an editor')
  writeFileSync(path('other.sh'), 'another')
  mkdirSync(path('node_modules/deep'), { recursive: true })
  await noticed(() => writeFileSync(path('stage.sh'), 'two\n'))
  expect(count()).toBe(before + 1)
})
