import { cpSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join, normalize } from 'node:path'
import { DOMParser } from '@xmldom/xmldom'
import picocolors from 'picocolors'
import { describe, expect, it } from 'vitest'
import { renderVerification } from '../../../src/cli/views/verification.ts'
import { type ImageVerification, imageVerification } from '../../../src/report/verification.ts'
import { guestsAtATime } from '../../../src/verify/guest-slots.ts'
import { renderJunit } from '../../../src/verify/junit.ts'
import {
  digestQuestions,
  findAnyVerdict,
  findVerdict,
  questioningCode,
  readVerdict,
  writeVerdict,
} from '../../../src/verify/verdicts.ts'
import { applyWaivers, unusedWaivers } from '../../../src/verify/waivers.ts'
import { useFolder } from '../../support/folder.ts'
import { importedFrom, project, read } from '../../support/imports.ts'

const path = useFolder()

const check = (id: string, status: 'passed' | 'failed' | 'skipped', observed = 'seen') => ({
  id,
  title: `what ${id} says`,
  group: id.startsWith('F') ? 'hygiene' : 'boot',
  at: 'secstorage',
  status,
  observed,
  seconds: 0.5,
})

const verification: ImageVerification = {
  path: 'images/a-kvm.qcow2',
  target: 'kvm',
  format: 'qcow2',
  sha256: 'ab'.repeat(32),
  status: 'failed',
  cached: false,
  seconds: 61,
  accelerator: 'tcg',
  scenes: [
    {
      name: 'secstorage',
      summary: 'a storage VM',
      model: 'virtio',
      seconds: 60,
      loginSeconds: 40,
      readySeconds: 12.5,
      startup: 'Startup finished in 2s (kernel) + 30s (userspace) = 32s',
      lastLines: ['systemvm login:'],
      screenshot: 'runs/1/screen.png',
    },
  ],
  checks: [
    check('B1', 'passed'),
    check('B2', 'failed', 'ens3 <&"\u0007\n'),
    check('F7', 'failed', 'TLS 1.0'),
    check('E4', 'skipped', 'no host'),
  ],
}
const waiver = { check: 'F7', reason: 'an old scanner needs it' } as const

describe('a waiver', () => {
  it('turns the failure of its check into a told exception, and no other', () => {
    const { checks, status } = applyWaivers(verification, [waiver])
    expect(checks.map((result) => result.status)).toEqual(['passed', 'failed', 'waived', 'skipped'])
    expect(checks[2]).toMatchObject({ observed: 'TLS 1.0', reason: waiver.reason })
    expect(status).toBe('failed')
    expect(imageVerification.parse(applyWaivers(verification, [waiver]))).toBeDefined()
  })

  it('of all failures lets the image pass', () => {
    const waivers = [waiver, { check: 'B2', reason: 'named so on purpose' } as const]
    expect(applyWaivers(verification, waivers).status).toBe('passed')
  })

  it('is of no use where its check has not failed, and is not judged where it was not asked', () => {
    const waivers = [
      waiver,
      { check: 'B1', reason: 'long gone, really' },
      { check: 'D3', reason: 'not asked here' },
    ] as const
    expect(unusedWaivers([applyWaivers(verification, waivers)], waivers)).toEqual(['B1'])
  })
})

describe('JUnit', () => {
  const parse = (xml: string) =>
    new DOMParser({
      onError: (_level, message) => {
        throw new Error(message)
      },
    }).parseFromString(xml, 'text/xml')

  it('is well-formed whatever a guest has said, with a case for each check', () => {
    const root = parse(renderJunit([applyWaivers(verification, [waiver])])).documentElement
    const cases = Array.from(root?.getElementsByTagName('testcase') ?? [])
    expect(cases.map((node) => node.getAttribute('name'))).toEqual([
      'B1 what B1 says (secstorage)',
      'B2 what B2 says (secstorage)',
      'F7 what F7 says (secstorage)',
      'E4 what E4 says (secstorage)',
    ])
    const failures = Array.from(root?.getElementsByTagName('failure') ?? [])
    expect(failures.map((node) => node.getAttribute('message'))).toEqual(['ens3 <&"?\n'])
    const skipped = Array.from(root?.getElementsByTagName('skipped') ?? [])
    expect(skipped.map((node) => node.getAttribute('message'))).toEqual([
      'waived: an old scanner needs it; observed: TLS 1.0',
      'no host',
    ])
  })

  it('counts as CI systems do', () => {
    const root = parse(renderJunit([verification, verification])).documentElement
    const suites = Array.from(root?.getElementsByTagName('testsuite') ?? [])
    for (const [node, factor] of [...suites.map((suite) => [suite, 1] as const), [root, 2] as const]) {
      const counts = ['tests', 'failures', 'skipped'].map((name) => Number(node?.getAttribute(name)))
      expect(counts).toEqual([4 * factor, 2 * factor, factor])
    }
  })
})

describe('the text for people', () => {
  it('shows what was observed where something failed, by groups, with the console', () => {
    const text = renderVerification(applyWaivers(verification, [waiver]), picocolors.createColors(false))
    expect(text).toContain('✖ images/a-kvm.qcow2  1 passed, 1 failed, 1 waived, 1 skipped')
    expect(text).toMatch(
      /boot +1 passed, 1 failed, 1 skipped\n +✖ B2 what B2 says \(secstorage\)\n +observed: ens3/,
    )
    expect(text).toMatch(/! F7 what F7 says.*\n +observed: TLS 1.0\n +waived: an old scanner needs it/)
    expect(text).toContain('secstorage        1m 00s on virtio: login 40.0s, ready 12.5s\n')
    expect(text).toContain('│ systemvm login:')
    expect(text).toContain('the screen: runs/1/screen.png')
    expect(text).not.toContain('what B1 says')
  })
})

describe('the figures of a scene', () => {
  const figuresOf = (over: object) => {
    const bare = { name: 'secstorage', summary: 'a storage VM', model: 'virtio', seconds: 61 }
    const text = renderVerification(
      { ...verification, scenes: [{ ...bare, ...over }] },
      picocolors.createColors(false),
    )
    return text.split('\n').find((line) => line.includes('on virtio'))
  }

  it.each([
    ['of one that ran', { loginSeconds: 40 }, '  secstorage        1m 01s on virtio: login 40.0s'],
    ['without times', {}, '  secstorage        1m 01s on virtio'],
    [
      'of one whose base boot failed',
      { seconds: 0.01, trouble: 'the agent is silent' },
      '  secstorage       no boot on virtio',
    ],
    [
      'of one that failed by itself',
      { seconds: 420, trouble: 'the agent is silent' },
      '  secstorage        7m 00s on virtio',
    ],
  ])('%s', (_case, over, line) => {
    expect(figuresOf(over)).toBe(line)
  })
})

describe('a kept verdict', () => {
  it('answers for the same bytes, the same target and the same questions alone', async () => {
    await writeVerdict(path(), verification, 'questions')
    expect(await readVerdict(path(), verification, 'questions')).toEqual({ ...verification, cached: true })
    expect(await readVerdict(path(), verification, 'others')).toBeUndefined()
    expect(
      await readVerdict(path(), { ...verification, sha256: 'cd'.repeat(32) }, 'questions'),
    ).toBeUndefined()
    expect(await readVerdict(path(), { ...verification, target: 'raw' }, 'questions')).toBeUndefined()
  })

  it('answers in the folder that it was written to, and in no copy of it', async () => {
    await writeVerdict(path('out'), verification, 'questions')
    cpSync(path('out'), path('copy'), { recursive: true })
    expect(await readVerdict(path('copy'), verification, 'questions')).toBeUndefined()
    const image = { ...verification, target: 'kvm' }
    expect(await findVerdict(path('copy'), image)).toBeUndefined()
    expect(await findAnyVerdict(path('copy'), image)).toEqual(verification)
    expect(await findVerdict(path('out'), image)).toEqual(verification)
    renameSync(path('out'), path('moved'))
    expect(await readVerdict(path('moved'), verification, 'questions')).toEqual({
      ...verification,
      cached: true,
    })
  })
})

describe('the questions of a verdict', () => {
  const isCovered = (file: string) =>
    questioningCode.some((path) => file === path || file.startsWith(`${path}/`))

  it('are all the code that runs while a file is verified', () => {
    const code = importedFrom('src/verify/')
    expect(code).toContain('src/contract/registry.ts')
    expect(code.filter((file) => !isCovered(file))).toEqual([])
  })

  it('are all the files that this code reads, and all packages', () => {
    const paths = importedFrom('src/verify/').flatMap((file) =>
      [...read(file).matchAll(/new URL\('(\.[^']+)', import\.meta\.url\)/g)].map(([, path = '']) =>
        normalize(join(file, '..', path)),
      ),
    )
    // The program's own folder is only where these are.
    const files = paths.filter((path) => path !== './')
    expect(files).toContain('templates/')
    expect(files.filter((path) => !isCovered(path.replace(/\/$/, '')))).toEqual([])
    expect(isCovered('package-lock.json')).toBe(true)
  })

  it('are others once any of it changes, or what is expected', async () => {
    for (const name of questioningCode) cpSync(join(project, name), path(name), { recursive: true })
    const facts = { account: 'cloud' }
    const before = await digestQuestions(facts, path())
    expect(before).toBe(await digestQuestions(facts))
    expect(await digestQuestions({ account: 'other' }, path())).not.toBe(before)
    const seen = new Set([before])
    for (const name of questioningCode) {
      const isFolder = statSync(path(name)).isDirectory()
      const file = isFolder
        ? join(
            name,
            readdirSync(path(name), { recursive: true, encoding: 'utf8' }).find((inner) =>
              /\.\w+$/.test(inner),
            ) ?? '',
          )
        : name
      writeFileSync(path(file), 'tightened')
      seen.add(await digestQuestions(facts, path()))
    }
    expect(seen.size).toBe(questioningCode.length + 1)
  })
})

describe('guests at a time', () => {
  it.each([
    ['three, emulated on two cores', 'tcg', 1, 2, 20_000, 3],
    ['half of them with two processors each', 'tcg', 2, 4, 20_000, 3],
    ['one, emulated on one core', 'tcg', 1, 1, 20_000, 1],
    ['as many as cores with KVM', 'kvm', 2, 8, 20_000, 8],
    ['fewer where memory is short', 'kvm', 2, 8, 2100, 2],
    ['even fewer, emulated', 'tcg', 1, 8, 4200, 2],
    ['one, however little there is', 'kvm', 2, 1, 100, 1],
  ] as const)('are %s', (_case, accelerator, cpus, cores, freeMiB, expected) => {
    expect(guestsAtATime(accelerator, { cpus, memoryMiB: 512 }, { cores, freeMiB })).toBe(expected)
  })
})
