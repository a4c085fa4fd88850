/** Our exports beside the tools that make such files elsewhere, job by job in several rounds, so that a drifting host distorts none. */

import { mkdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { $ as shell } from 'zx'
import { formatBytes, formatSeconds, formatTable } from '../src/report/format.ts'
import { targetNames } from '../src/targets/registry.ts'
import { median } from './median.ts'

const $ = shell({ quiet: true, stdio: ['ignore', 'ignore', 'inherit'] })

interface Job {
  readonly name: string
  /** Makes files below the folder it is given. */
  readonly run: (folder: string) => Promise<unknown>
  /** A conversion that compresses, with which all others are compared. */
  readonly isYardstick?: boolean
}

function jobsFor(program: string, disk: string, hasIncumbent: boolean): readonly Job[] {
  const convert = (format: string, ...words: string[]): Omit<Job, 'name'> => ({
    run: (folder) => $`qemu-img convert -O ${format} ${words} ${disk} ${join(folder, 'converted')}`,
  })
  const own = (...names: string[]): Job => ({
    name: names.length === targetNames.length ? 'export, all targets' : `export --targets ${names.join()}`,
    run: (folder) =>
      $`${process.execPath} ${program} export --from ${disk} --out ${folder} --targets ${names.join()}`,
  })
  return [
    { name: 'qemu-img convert -c -O qcow2', ...convert('qcow2', '-c'), isYardstick: true },
    {
      name: 'qemu-img convert -O vmdk, streamOptimized',
      ...convert('vmdk', '-o', 'subformat=streamOptimized'),
      isYardstick: true,
    },
    { name: 'qemu-img convert -O vpc', ...convert('vpc') },
    { name: 'qemu-img convert -O raw', ...convert('raw') },
    own('kvm'),
    own('vmware'),
    own('xenserver'),
    own('raw'),
    own('kvm', 'vmware'),
    own(...targetNames),
    ...(hasIncumbent ? [incumbent(disk)] : []),
  ]
}

/** What CloudStack's own build does, as far as its tools still exist: it takes minutes on one processor. */
function incumbent(disk: string): Job {
  return {
    name: "CloudStack's: qcow2 -c, vpc and raw, each then by bzip2",
    run: async (folder) => {
      const files = ['qcow2', 'vpc', 'raw'].map((format) => join(folder, format))
      const [qcow2 = '', vpc = '', raw = ''] = files
      await $`qemu-img convert -c -o compat=0.10 -O qcow2 ${disk} ${qcow2}`
      await $`qemu-img convert -O vpc ${disk} ${vpc}`
      await $`qemu-img convert -O raw ${disk} ${raw}`
      for (const file of files) await $`bzip2 ${file}`
    },
  }
}

/** Returns a table of medians, each beside how many times the slower of two `qemu-img` conversions of its round it took. */
export async function measureExports(
  program: string,
  disk: string,
  scratch: string,
  { rounds, hasIncumbent }: { readonly rounds: number; readonly hasIncumbent: boolean },
): Promise<string> {
  const jobs = jobsFor(program, disk, hasIncumbent)
  const seconds = jobs.map((): number[] => [])
  const ratios = jobs.map((): number[] => [])
  const yardsticks = jobs.flatMap(({ isYardstick }, index) => (isYardstick === true ? [index] : []))
  const sizes = jobs.map(() => 0)
  for (let round = 0; round < rounds; round += 1) {
    for (const [index, job] of jobs.entries()) {
      const folder = join(scratch, 'made')
      await mkdir(folder, { recursive: true })
      const started = performance.now()
      await job.run(folder)
      const spent = (performance.now() - started) / 1000
      sizes[index] = await allocated(folder)
      await rm(folder, { recursive: true })
      seconds[index]?.push(spent)
    }
    const slowest = Math.max(...yardsticks.map((index) => seconds[index]?.[round] ?? 0))
    for (const [index, all] of seconds.entries()) {
      ratios[index]?.push((all[round] ?? 0) / slowest)
    }
  }
  const rows = jobs.map(({ name }, index) => [
    name,
    formatSeconds(median(seconds[index] ?? [])),
    median(ratios[index] ?? []).toFixed(2),
    formatBytes(sizes[index] ?? 0),
  ])
  const title = ['', 'time', "of qemu-img's", 'size']
  return formatTable([title, ...rows], [false, true, true, true])
}

async function allocated(folder: string): Promise<number> {
  const { stdout } = await shell({ quiet: true })`du --summarize --block-size=1 ${folder}`
  const own = (await stat(folder)).blocks * 512
  return Number(stdout.split('\t')[0]) - own
}
