/** A report with everything that a report can contain, as large as the real ones. */

import { readFileSync } from 'node:fs'
import { type Report, reportSchema } from '../../src/report/report.ts'
import type { CheckResult, ImageVerification } from '../../src/report/verification.ts'

const sample = reportSchema.parse(
  JSON.parse(readFileSync(new URL('../fixtures/reports/succeeded.json', import.meta.url), 'utf8')),
)

const digest = (number: number) => number.toString(16).padStart(64, '0')

/** Path of a screenshot in the report. */
export const screenshotPath = 'runs/20261122T152645Z-trixie-x86_64-11193/screen-kvm-router.png'

/** Fourteen stages, nine of them cached; three image files, one of which failed its verification. */
export function makeLargeReport(packageCount = 400): Report {
  const [stage, image] = [sample.stages[0], sample.images[0]] as [Report['stages'][0], Report['images'][0]]
  const stages = Array.from({ length: 14 }, (_, index): Report['stages'][number] => ({
    ...stage,
    name: `configure_systemvm_part_${index}`,
    status: index < 9 ? 'cached' : 'ran',
    ...(index < 9 ? {} : { startedSeconds: 10 + (index - 9) * 8 }),
    build_time: 2 + index / 2,
    key: digest(index),
    layer: { sha256: digest(100 + index), sizeBytes: (index + 1) * 1_000_000 },
  }))
  const names = Array.from({ length: packageCount }, (_, index) => `package-${index}`)
  const packages = names.map((name, index) => ({
    name,
    version: `1:2.${index}-1+deb13u1`,
    architecture: 'amd64',
    licenses: index % 6 === 0 ? ['GPL-2.0-or-later', 'LGPL-2.1-or-later', 'MIT'] : [],
  }))
  const images = ['kvm', 'xenserver', 'vmware'].map((target, index) => ({
    ...image,
    target,
    path: `images/tiny-1.0-x86_64-${target}`,
    sizeBytes: 400_000_000 + index * 1_000_000,
    sha256: digest(200 + index),
  }))
  return reportSchema.parse({
    ...sample,
    run: { ...sample.run, durationSeconds: 160 },
    source: { commit: '0123456789abcdef0123456789abcdef01234567', changed: ['pipeline.ts'] },
    pinned: { snapshot: null, lock: null },
    base: { key: digest(1), sha256: digest(2), sizeBytes: 900_000_000 },
    timings: [
      { name: 'wake', startedSeconds: 1, seconds: 8.9 },
      { name: 'shutdown', startedSeconds: 58, seconds: 2 },
      { name: 'flatten', startedSeconds: 60, seconds: 1 },
      { name: 'export kvm', startedSeconds: 60, seconds: 20 },
      { name: 'export vmware', startedSeconds: 61, seconds: 10 },
      { name: 'verify kvm', startedSeconds: 80.1, seconds: 75 },
    ],
    stages,
    packages,
    images,
    freshness: {
      status: 'outdated',
      checkedAt: '2026-11-22T15:28:09.000Z',
      archives: [{ suite: 'trixie', url: 'http://deb.example.org', date: '2026-11-21T09:15:44.000Z' }],
      updates: [3, 5].map((index) => ({
        name: `package-${index}`,
        source: `package-${index}`,
        installed: `1:2.${index}-1+deb13u1`,
        available: `1:3.${index}-1`,
        suite: 'trixie-security',
        security: index === 3,
      })),
    },
    verifications: [verificationOf(images[0] as Report['images'][number], names)],
    unusedWaivers: ['E3'],
  } satisfies Report)
}

function verificationOf(
  { target, path, sha256 }: Report['images'][number],
  names: readonly string[],
): ImageVerification {
  const at = (place: string, group: string, count: number): CheckResult[] =>
    Array.from({ length: count }, (_, index) => ({
      id: `${group}${index}`,
      title: `what check ${group}${index} wants of an image`,
      group,
      at: place,
      status: group === 'C' && index < 2 ? 'failed' : 'passed',
      observed: `what ${group}${index} has seen`,
      seconds: index / 10,
    }))
  const mebibyte = 1024 ** 2
  return {
    path,
    target,
    format: 'qcow2',
    sha256,
    status: 'failed',
    cached: false,
    seconds: 75,
    accelerator: 'tcg',
    usage: {
      filesBytes: 900 * mebibyte,
      folders: [
        ['/boot', 50],
        ['/usr', 850],
        ['/usr/bin', 200],
        ['/usr/lib', 600],
        ['/usr/lib/jvm', 200],
        ['/usr/lib/jvm/java', 199],
      ].map(([path, size]) => ({ path: String(path), sizeBytes: Number(size) * mebibyte })),
      packages: names
        .map((name, index) => ({ name, sizeBytes: 200_000_000 / (index + 1) ** 1.2 }))
        .map(({ name, sizeBytes }) => ({ name, sizeBytes: Math.round(sizeBytes) })),
    },
    scenes: [
      {
        name: 'router',
        summary: 'a router, by the guest agent',
        model: 'virtio',
        seconds: 60,
        loginSeconds: 30,
        agentSeconds: 20,
        readySeconds: 40,
        startup: 'Startup finished in 2s (kernel) + 28s (userspace) = 30s',
        slowest: [{ unit: 'cloud-postinit.service', time: '12.3s' }],
        lastLines: Array.from({ length: 20 }, (_, index) => `[  OK  ] Started unit ${index}`),
        screenshot: screenshotPath,
      },
    ],
    checks: [...at('file', 'A', 3), ...at('content', 'B', 30), ...at('router', 'C', 40)],
  }
}

/** The same value with every text in it changed. */
export function changeTexts<Value>(value: Value, change: (text: string) => string): Value {
  if (typeof value === 'string') return change(value) as Value
  if (Array.isArray(value)) return value.map((one) => changeTexts(one, change)) as Value
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [key, changeTexts(inner, change)]),
  ) as Value
}
