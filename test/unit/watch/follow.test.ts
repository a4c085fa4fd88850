import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
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

it('follows a path that is a link, and no link in a folder', async () => {
  mkdirSync(path('real'))
  mkdirSync(path('elsewhere/deep'), { recursive: true })
  mkdirSync(path('files'))
  writeFileSync(path('real/stage.sh'), 'one\n')
  symlinkSync(path('real/stage.sh'), path('stage.sh'))
  symlinkSync(path('elsewhere'), path('files/link'))
  const { noticed } = await follow(path('stage.sh'), path('files'))
  await noticed(() => writeFileSync(path('real/stage.sh'), 'two\n'))
  await noticed(() => writeFileSync(path('files/more'), '1'))
  expect(isWatched(path('files'))).toBe(true)
  expect(isWatched(path('elsewhere'))).toBe(false)
  expect(isWatched(path('elsewhere/deep'))).toBe(false)
})

/** Whether this process has asked the kernel to say what happens to a file. */
function isWatched(file: string): boolean {
  const watches = `ino:${statSync(file).ino.toString(16)} `
  return readdirSync('/proc/self/fdinfo').some((descriptor) => {
    const info = `/proc/self/fdinfo/${descriptor}`
    // The one of the folder itself is gone by now.
    return existsSync(info) && readFileSync(info, 'utf8').includes(watches)
  })
}

const write = (text: string) => () => {
  mkdirSync(path('project/prov'), { recursive: true })
  writeFileSync(path('project/prov/a.sh'), text)
}

const replacements: readonly (readonly [string, () => void])[] = [
  ['a folder is moved away', () => renameSync(path('project/prov'), path('project/x'))],
  ['a folder is removed', () => rmSync(path('project/prov'), { recursive: true })],
  ['the folder above is moved away', () => renameSync(path('project'), path('x'))],
  ['the folder above is removed', () => rmSync(path('project'), { recursive: true })],
]

const followed: readonly (readonly string[])[] = [
  ['project/prov/a.sh'],
  ['project/prov/a.sh', 'project/prov'],
]

const cases = replacements.flatMap(([what, replace]) =>
  followed.flatMap((names) => [true, false].map((isAtOnce) => ({ what, names, isAtOnce, replace }))),
)

it.each(cases)('where $what, $names follows what comes, at once: $isAtOnce', async (one) => {
  write('one\n')()
  const { noticed } = await follow(...one.names.map((name) => path(name)))
  if (one.isAtOnce)
    await noticed(() => {
      one.replace()
      write('in the new folder\n')()
    })
  else {
    await noticed(one.replace)
    await noticed(write('in the new folder\n'))
  }
  // More often than one replacement may be noticed.
  for (let times = 0; times < 6; times += 1) await noticed(write(`again ${times}\n`))
})

it('follows a folder in a folder that was replaced', async () => {
  mkdirSync(path('files/deep'), { recursive: true })
  writeFileSync(path('files/one'), '1')
  writeFileSync(path('files/deep/one'), '1')
  const { noticed } = await follow(path('files/one'), path('files'))
  await noticed(() => {
    renameSync(path('files/deep'), path('aside'))
    mkdirSync(path('files/deep'))
    writeFileSync(path('files/deep/one'), '2')
  })
  for (let times = 0; times < 6; times += 1)
    await noticed(() => writeFileSync(path('files/deep/one'), `again ${times}`))
  await noticed(() => writeFileSync(path('files/deep/two'), '1'))
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
