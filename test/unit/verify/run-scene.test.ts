/** What scenes say of a boot that did not come about: nothing here boots. */

import { describe, expect, it } from 'vitest'
import { contractNames } from '../../../src/config/contract.ts'
import type { FileCheck } from '../../../src/contract/check.ts'
import { fileChecksOf, sceneChecksOf } from '../../../src/contract/registry.ts'
import { type BaseBoot, type SceneName, sceneSpecs } from '../../../src/contract/scenes.ts'
import type { CheckResult } from '../../../src/report/verification.ts'
import type { SceneRequest } from '../../../src/verify/boot-scene.ts'
import { findTrouble, resultOf, runScene } from '../../../src/verify/run-scene.ts'
import { mostBoots } from '../../../src/verify/run-scenes.ts'

const request = (name: SceneName, baseBoot: BaseBoot): SceneRequest => ({
  name,
  target: 'kvm',
  source: { file: '/missing', format: 'qcow2', node: { driver: 'qcow2' }, members: [], below: [] },
  expected: { arch: 'x86_64', account: 'cloud' },
  contract: 'cloudstack',
  acceleration: { arch: 'x86_64', accelerator: 'tcg', cpu: 'Opteron_G3', reason: 'chosen', proven: false },
  machine: { cpus: 1, memoryMiB: 256 },
  folder: '/missing',
  key: { file: '/missing', publicKey: 'ssh-rsa AAAA' },
  diskBytes: 1,
  grownToBytes: 2,
  baseBoot,
  onCheck: () => undefined,
  signal: new AbortController().signal,
})

const failedBaseBoot = (record: BaseBoot['record'], bootedFor: SceneName = 'secstorage'): BaseBoot => ({
  bootedFor,
  waitingShare: 0,
  saved: undefined,
  record,
  lastLines: ['systemvm login:'],
  screenshot: '/tmp/screen.png',
})

const withStatus = (checks: readonly CheckResult[], status: CheckResult['status']) =>
  checks.filter((check) => check.status === status).map(({ id }) => id)

describe('a boot in which the agent never answered', () => {
  const baseBoot = failedBaseBoot({ loginSeconds: 40, trouble: { id: 'C1', text: 'not within 360 s' } })

  it('fails by one check, and the others point to it', async () => {
    const { checks, scene, screenshot } = await runScene(request('secstorage', baseBoot))
    expect(withStatus(checks, 'failed')).toEqual(['C1'])
    expect(withStatus(checks, 'passed')).toEqual(['B1'])
    expect(checks.length).toBeGreaterThan(30)
    for (const { observed } of checks.filter(({ status }) => status === 'skipped'))
      expect(observed).toContain('see C1: not within 360 s')
    expect(scene).toMatchObject({
      trouble: 'not within 360 s',
      lastLines: ['systemvm login:'],
      loginSeconds: 40,
    })
    expect(screenshot).toBe('/tmp/screen.png')
  })

  it('is no success of a scene that does not ask for the agent', async () => {
    const { checks } = await runScene(request('router', { ...baseBoot, bootedFor: 'router' }))
    expect(withStatus(checks, 'failed')).toEqual(['C4'])
    const { checks: unattended } = await runScene(request('no-data', { ...baseBoot, bootedFor: 'no-data' }))
    expect(withStatus(unattended, 'failed')).toEqual(['G1'])
  })

  it('is reported once: other scenes that resume from it are not reached', async () => {
    const { checks, scene, screenshot } = await runScene(request('router', baseBoot))
    expect(new Set(checks.map(({ status }) => status))).toEqual(new Set(['skipped']))
    for (const { observed } of checks)
      expect(observed).toBe('not reached: the boot that it resumes from failed, see secstorage')
    expect([scene.lastLines, screenshot]).toEqual([undefined, undefined])
  })
})

describe.each(contractNames)('a guest that is up, of the contract %s', (contract) => {
  const roleScenes = (Object.keys(sceneSpecs) as SceneName[]).filter((name) => 'role' in sceneSpecs[name])

  it.each(roleScenes)('cannot pass as %s without its arguments', (name) => {
    const asked = sceneChecksOf(name, contract)
    const record = {
      readySeconds: 1,
      wasTaken: false,
      trouble: { id: 'C3', text: 'cmd_line.json has nothing' },
    } as const
    const findings = asked.map((check) => findTrouble(check, asked, record))
    expect(findings.filter((finding) => finding?.status === 'failed')).toHaveLength(1)
    for (const [index, { needs }] of asked.entries()) {
      if (needs === 'taken') expect(findings[index]?.status).not.toBe(undefined)
    }
  })

  it.each(roleScenes)('cannot pass as %s if first boot does not end', (name) => {
    const asked = sceneChecksOf(name, contract)
    const record = { trouble: { id: 'C4', text: 'no boot_up_done' } } as const
    const findings = asked.map((check) => ({ id: check.id, finding: findTrouble(check, asked, record) }))
    const failed = findings.filter(({ finding }) => finding?.status === 'failed')
    // C4 looks itself, and says what the log has.
    const looks = findings.filter(({ id, finding }) => id === 'C4' && finding === undefined)
    expect([...failed, ...looks]).toHaveLength(1)
  })
})

it('a boot that panicked fails by its login', async () => {
  const trouble = { id: 'B1', text: 'the kernel panicked', isPanic: true } as const
  const { checks } = await runScene(request('secstorage', failedBaseBoot({ trouble })))
  expect(withStatus(checks, 'failed')).toEqual(['B1'])
  expect(withStatus(checks, 'passed')).toEqual([])
})

it('what a check quotes of an image has nothing in it that a terminal would act on', () => {
  const [check] = fileChecksOf('kvm') as readonly [FileCheck]
  const finding = { status: 'failed', observed: '/etc/motd: \u001b]0;title\u0007\u001b[38:5:185mhi' } as const
  expect(resultOf(check, 'file', finding, 1).observed).toBe('/etc/motd: hi')
  // The output of a program in the guest, as its agent sends it.
  const long = { status: 'failed', observed: 'x'.repeat(30_000_000) } as const
  expect(resultOf(check, 'file', long, 1).observed).toBe(`${'x'.repeat(10_000)}…`)
})

describe('a boot', () => {
  const panic = { trouble: { id: 'B1', text: 'the kernel panicked', isPanic: true } } as const
  const silent = { trouble: { id: 'C1', text: 'not within 360 s' } } as const
  it.each([
    ['that a busy host starved is made once more', 'kvm', silent, 0.3, 2],
    ['whose emulated CPU panicked is made up to five times', 'tcg', panic, 0, 5],
    ['that went well counts, however busy the host was', 'tcg', {}, 0.9, 1],
    ['that failed on an idle host counts', 'tcg', silent, 0.1, 1],
    ['that panicked with KVM counts', 'kvm', panic, 0, 1],
    ['that panicked after the agent had answered counts', 'tcg', { agentSeconds: 30, ...panic }, 0, 1],
  ] as const)('%s', (_case, accelerator, record, waitingShare, expected) => {
    expect(mostBoots({ record, waitingShare }, accelerator)).toBe(expected)
  })
})
