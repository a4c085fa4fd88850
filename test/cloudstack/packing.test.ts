/** What `--payload` makes of CloudStack's sources is what their own build packs, in every checkout. */

import { execFileSync } from 'node:child_process'
import { chmodSync, cpSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, expect, it } from 'vitest'
import { sha256 } from '../../src/digest.ts'
import { listTree } from '../../src/host/hash-file.ts'
import { findSources, packScripts, type ScriptSources } from '../../src/stage-files/cloudstack-scripts.ts'
import { useFolder } from '../support/folder.ts'
import { readPackingRules } from './packing-rules.ts'
import { cloudstackSource, describeWithSource } from './tree.ts'

const path = useFolder()

describeWithSource("the packed scripts of CloudStack's sources", () => {
  let modeOf: (name: string) => string | undefined

  beforeEach(() => {
    modeOf = readPackingRules(join(cloudstackSource, 'systemvm', 'pom.xml'))
  })

  it('have the names, modes and contents that their own pom.xml says', async () => {
    await packScripts((await findSources(cloudstackSource)) as ScriptSources, path('packed.tgz'), 0)
    mkdirSync(path('unpacked'))
    execFileSync('tar', ['-xpf', path('packed.tgz'), '-C', path('unpacked'), '--warning=no-timestamp'])
    const found = readdirSync(path('unpacked'), { recursive: true }) as string[]
    const files = found.filter((name) => statSync(path('unpacked', name)).isFile())
    const modes = files.map((name) => [name, (statSync(path('unpacked', name)).mode & 0o777).toString(8)])
    const tree = join(cloudstackSource, 'systemvm', 'debian')
    const utilities = join(cloudstackSource, 'scripts', 'util')
    const wanted = new Map([
      ...Object.keys(await listTree(tree)).map((name) => [name, join(tree, name)] as const),
      ...readdirSync(utilities)
        .filter((name) => name.startsWith('keystore-'))
        .map((name) => [`opt/cloud/bin/${name}`, join(utilities, name)] as const),
    ])
    const byRules = [...wanted.keys()].flatMap((name) => {
      const mode = modeOf(name)
      return mode === undefined ? [] : [[name, mode]]
    })
    expect(Object.fromEntries(modes)).toEqual(Object.fromEntries(byRules))
    for (const name of files)
      expect(
        readFileSync(path('unpacked', name)).equals(readFileSync(wanted.get(name) as string)),
        name,
      ).toBe(true)
  })

  it('are the same bytes in a checkout with another umask and other times', async () => {
    const packed = async (source: string, archive: string) => {
      await packScripts((await findSources(source)) as ScriptSources, archive, 0)
      return sha256(readFileSync(archive))
    }
    for (const folder of ['systemvm/debian', 'scripts/util'])
      cpSync(join(cloudstackSource, folder), path('other', folder), { recursive: true })
    for (const name of readdirSync(path('other'), { recursive: true }) as string[])
      chmodSync(path('other', name), 0o700)
    expect(await packed(path('other'), path('b.tgz'))).toBe(await packed(cloudstackSource, path('a.tgz')))
  })
})
