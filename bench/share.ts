/** Pushing layers to a registry on a loopback address and pulling them, beside the same bytes through zstd and back. */

import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { $ as shell } from 'zx'
import { formatSeconds, formatTable } from '../src/report/format.ts'
import { startRegistry } from '../test/support/registry.ts'
import { median } from './median.ts'

const $ = shell({ quiet: true, stdio: ['ignore', 'ignore', 'inherit'] })

/** @param out output folder of a build; its layers are read, and nothing in it is changed */
export async function measureSharing(program: string, out: string, rounds: number): Promise<string> {
  const folder = await mkdtemp(`${out}-share-`)
  const times: Record<string, number[]> = {}
  const time = async (name: string, job: () => Promise<unknown>) => {
    const started = performance.now()
    await job()
    times[name] = [...(times[name] ?? []), (performance.now() - started) / 1000]
  }
  const store = join(out, 'store')
  const disks = (await readdir(store)).filter((name) => name.endsWith('.qcow2'))
  try {
    for (let round = 0; round < rounds; round += 1) {
      const place = join(folder, `${round}`)
      await mkdir(place)
      const registry = await startRegistry(join(place, 'registry'))
      try {
        await time('through zstd', async () => {
          for (const disk of disks)
            await $`zstd -q -T0 -3 -c ${join(store, disk)} | zstd -q -d -c > ${join(place, 'copy')}`
        })
        // skopeo remembers what it has pushed to a registry of that name: every round has its own port.
        const repository = `${registry.host}/bench/layers`
        await time(
          'store push',
          () => $`${process.execPath} ${program} store push ${repository} --unsigned --out ${out}`,
        )
        await time(
          'store pull',
          () =>
            $`${process.execPath} ${program} store pull ${repository} --unsigned --out ${join(place, 'out')}`,
        )
      } finally {
        await registry.stop()
      }
      await rm(place, { recursive: true, force: true })
    }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  const yardstick = median(times['through zstd'] ?? [])
  const rows = Object.entries(times).map(([name, values]) => [
    name,
    formatSeconds(median(values)),
    (median(values) / yardstick).toFixed(2),
  ])
  return formatTable([['layers', 'median', 'of zstd'], ...rows], [false, true, true])
}
