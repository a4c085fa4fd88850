import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { afterEach, expect, it } from 'vitest'
import { type Follower, followFiles } from '../../../src/watch/follow.ts'
import { useFolder } from '../../support/folder.ts'

const path = useFolder()
const followers: Follower[] = []
afterEach(() => Promise.all(followers.splice(0).map(({ close }) => close())))

/** Follows paths from when they are known to be followed, which their first change shows. */
async function follow(...paths: readonly string[]) {
  let count = 0
  const heard: (() => void)[] = []
  const follower = followFiles(() => {
    count += 1
    for (const resolve of heard.splice(0)) resolve()
  })
  followers.push(follower)
  follower.add(paths)
  const next = () => new Promise<void>((resolve) => heard.push(resolve))
  /** Does something, again and again until it is noticed the first time. */
  const noticed = async (act: () => void) => {
    const heard = next()
    act()
    await heard
  }
  const first = next()
  const nudging = setInterval(() => appendFileSync(paths[0] as string, '\n'), 100)
  await first
  clearInterval(nudging)
  return { noticed, count: () => count }
}

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
  await noticed(() => spawnSync('sed', ['-i', 's/anew/by sed/', file]))
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
