/** The record of a release with two variants. */

import { parseReleaseRecord, type ReleaseRecord, type ReleaseVariant } from '../../src/release/record.ts'

const digest = (number: number) => number.toString(16).padStart(64, '0')

export function makeSampleRelease(packageCount = 400): ReleaseRecord {
  const record = parseReleaseRecord({
    version: 1,
    name: 'systemvmtemplate',
    release: '4.22.0',
    tag: 'v4.22.0',
    exceptions: [{ kind: 'unverified', text: 'bookworm-x86_64: none of its files was booted' }],
    source: {
      commit: '0123456789abcdef0123456789abcdef01234567',
      changed: [],
      repository: 'https://github.com/example/images',
    },
    variants: [variantOf('trixie', 0, packageCount), variantOf('bookworm', 1, packageCount)],
  } satisfies ReleaseRecord)
  if (record === undefined) throw new Error('the sample is not a record that the program knows')
  return record
}

function variantOf(suite: string, index: number, packageCount: number): ReleaseVariant {
  const targets = ['kvm', 'xenserver', ...(index === 0 ? ['vmware'] : [])]
  const checks = { passed: 72, waived: 1, skipped: 2, failed: 0 }
  return {
    variant: `${suite}-x86_64`,
    suite,
    arch: 'x86_64',
    installer: 'bootstrap',
    sbom: `systemvmtemplate-4.22.0-${suite}.cdx.json`,
    kernel: [`linux-image-6.${index}-amd64 6.${index}.1-1`],
    run: {
      id: `20261122T152645Z-${suite}-x86_64-1`,
      startedAt: '2026-11-22T15:26:45.859Z',
      finishedAt: '2026-11-22T15:28:09.989Z',
      durationSeconds: 84.13,
      accelerator: 'kvm',
    },
    snapshot: index === 0 ? null : '20261101T000000Z',
    lock: null,
    files: targets.map((target, number) => ({
      target,
      format: 'qcow2',
      file: `systemvmtemplate-4.22.0-${suite}-${target}.qcow2`,
      sizeBytes: 400_000_000 + number * 10_000_000 + index * 1_000_000,
      virtualSizeBytes: 5_284_823_040,
      md5: digest(1).slice(32),
      sha256: digest(10 * index + number),
      sha512: digest(2) + digest(10 * index + number),
      madeFrom: digest(3),
      verification: index === 0 ? { status: 'passed', accelerator: 'kvm', scenes: 9, ...checks } : null,
    })),
    packages: Object.fromEntries(
      Array.from({ length: packageCount }, (_, number) => [
        `package-${number}`,
        number % 4 === 0 ? `1.${number}-${index + 1}` : `1.${number}-1`,
      ]),
    ),
    freshness:
      index === 1
        ? null
        : {
            archives: [{ suite, url: 'http://deb.example.org', date: '2026-11-21T09:15:44.000Z' }],
            updates: [
              {
                name: 'package-3',
                source: 'package-3',
                installed: '1.3-1',
                available: '1.3-2',
                suite: `${suite}-security`,
                security: true,
              },
            ],
            waived: [{ accepts: 'package-3 1.3-2', reason: 'it is not reachable', until: '2026-12-31' }],
          },
    stages: ['configure_grub', 'cleanup'].map((name, number) => ({
      name,
      status: 'ran',
      build_time: 10 + number + index,
      layerBytes: 1_000_000 * (number + 1),
    })),
  }
}
