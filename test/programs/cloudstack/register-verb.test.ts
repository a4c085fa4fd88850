/** `register` against a CloudStack that checks signatures, waits for its storage VM, and refuses. */

import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'
import { openCloud, signatureOf } from '../../../src/cloudstack/api.ts'
import { type CloudImage, imagesOf } from '../../../src/cloudstack/images.ts'
import { registerImage, waitUntilReady } from '../../../src/cloudstack/register.ts'
import { startCloud, type TestCloud, zones } from '../../support/cloudstack-api.ts'
import { useFolder } from '../../support/folder.ts'
import { runHere } from '../../support/output.ts'
import { writeRelease } from '../../support/release-to-publish.ts'
import { makeSampleRelease } from '../../support/sample-release.ts'

const path = useFolder()
const never = new AbortController().signal
const from = 'https://mirror.example.org/systemvm/4.22'
const file = 'systemvmtemplate-4.22.0-bookworm-kvm.qcow2'

let cloud: TestCloud

beforeEach(async () => {
  cloud = await startCloud()
  vi.stubEnv('HOME', path())
  vi.stubEnv('CLOUDSTACK_API_URL', cloud.url)
  vi.stubEnv('CLOUDSTACK_API_KEY', cloud.apiKey)
  vi.stubEnv('CLOUDSTACK_SECRET_KEY', cloud.secretKey)
})
afterEach(async () => {
  vi.unstubAllEnvs()
  await cloud.close()
})

const register = (...words: string[]) =>
  runHere('register', path('release'), '--variant', 'bookworm-x86_64', '--target', 'kvm', ...words)

function sampleImage(): CloudImage {
  const [image] = imagesOf({ ...makeSampleRelease(1), name: 'debian-cloud' }, '').filter(
    (one) => one.file === file,
  )
  if (image === undefined) throw new Error('no image')
  return image
}

/** One second would make a test of readiness slow. */
const quickly = { timeoutMs: 10_000, pauseMs: 1 }

describe('a user image', () => {
  const request = (over: object = {}) => ({
    image: sampleImage(),
    url: `${from}/${file}`,
    zones: [],
    awaited: zones,
    onStatus: () => undefined,
    signal: never,
    ...over,
  })

  it('is registered with its checksum, and waited for in every zone', async () => {
    const said: string[] = []
    const call = openCloud({ ...cloud, url: new URL(cloud.url) })
    cloud.statusOf = (zone, asked) =>
      asked > (zone === 'east' ? 2 : 4)
        ? { isready: true, status: 'Download Complete' }
        : {
            isready: false,
            status: `${asked * 10}% Downloaded`,
            downloaddetails: [{ downloadState: 'DOWNLOAD_IN_PROGRESS' }],
          }
    const onStatus = (zone: string, status: string) => said.push(`${zone}: ${status}`)
    const id = await registerImage(call, request({ onStatus }))
    await waitUntilReady(call, id, request({ onStatus }), quickly)
    expect(Object.fromEntries(cloud.templates[0]?.parameters ?? [])).toMatchObject({
      url: `${from}/${file}`,
      checksum: `{SHA-512}${sampleImage().checksum.slice('{SHA-512}'.length)}`,
      hypervisor: 'KVM',
      format: 'QCOW2',
      zoneids: '-1',
      ostypeid: '22222222-0000-4000-8000-000000000001',
      ispublic: 'false',
    })
    expect(cloud.templates[0]?.parameters.has('templatetype')).toBe(false)
    expect(said).toEqual([
      'east: 10% Downloaded',
      'west & south: 10% Downloaded',
      'east: 20% Downloaded',
      'west & south: 20% Downloaded',
      'east: Download Complete',
      'west & south: 30% Downloaded',
      'west & south: 40% Downloaded',
      'west & south: Download Complete',
    ])
  })

  it('is not registered twice, and no namesake is taken for it', async () => {
    const call = openCloud({ ...cloud, url: new URL(cloud.url) })
    const id = await registerImage(call, request())
    expect(await registerImage(call, request())).toBe(id)
    expect(cloud.templates).toHaveLength(1)
    const other = { ...sampleImage(), checksum: '{SHA-512}00' }
    await expect(registerImage(call, request({ image: other }))).rejects.toMatchObject({
      code: 'usage',
      message: expect.stringContaining('with another checksum'),
    })
  })

  it('fails in the words of CloudStack where the storage VM does', async () => {
    const call = openCloud({ ...cloud, url: new URL(cloud.url) })
    cloud.statusOf = (zone) =>
      zone === 'east'
        ? { isready: true, status: 'Download Complete' }
        : {
            isready: false,
            status: 'Failed post download script: checksum mismatch',
            downloaddetails: [{ downloadState: 'DOWNLOAD_ERROR' }],
          }
    const id = await registerImage(call, request())
    await expect(waitUntilReady(call, id, request(), quickly)).rejects.toMatchObject({
      code: 'template-not-ready',
      message: expect.stringContaining('west & south: Failed post download script: checksum mismatch'),
    })
    cloud.statusOf = () => ({ isready: false, status: '1% Downloaded' })
    await expect(waitUntilReady(call, id, request(), { timeoutMs: 10_000, pauseMs: 10_000 })).rejects.toThrow(
      /is not ready: it took too long; east: 1% Downloaded, west & south: 1% Downloaded/,
    )
  })
})

describe('register', () => {
  it('registers in the named zones, and shows no key', async () => {
    await writeRelease(path('release'), { name: 'debian-cloud' })
    // Every character that clients encode in ways of their own.
    const name = "ours ~*!()'+ü"
    const words = ['--from', from, '--zone', 'west & south', '--name', name]
    const { exitCode, stdout, stderr } = await register(...words)
    expect(exitCode, stderr).toBe(0)
    expect(stdout.trim()).toBe(cloud.templates[0]?.id)
    expect(cloud.templates[0]?.parameters.get('zoneids')).toBe(zones[1]?.id)
    expect(cloud.templates[0]?.parameters.get('name')).toBe(name)
    expect(stderr).toContain(`${name} is ready in west & south`)
    expect(`${stdout}${stderr}`).not.toContain('planted')
    for (const text of cloud.received) {
      expect(text).toMatch(/^POST \/client\/api /)
      expect(text).not.toContain('planted')
    }
  })

  it('reads cmk’s file', async () => {
    await writeRelease(path('release'), { name: 'debian-cloud' })
    for (const name of ['URL', 'KEY']) vi.stubEnv(`CLOUDSTACK_API_${name}`, '')
    mkdirSync(path('.cmk'))
    writeFileSync(
      path('.cmk', 'config'),
      `prompt = x\n[core]\nprofile = here\n\n[here]\nurl = ${cloud.url}\napikey = ${cloud.apiKey}\nsecretkey = ${cloud.secretKey}\n[other]\nurl = http://127.0.0.1:9\n`,
    )
    expect((await register('--from', from)).exitCode).toBe(0)
    const none = await register('--from', from, '--profile', 'other')
    expect(none.exitCode).toBe(2)
    expect(none.stderr).toMatch(/profile other of .* has no url, apikey and secretkey/)
  })

  it('waits for no pipe in the place of cmk’s file', async () => {
    await writeRelease(path('release'), { name: 'debian-cloud' })
    vi.stubEnv('CLOUDSTACK_API_KEY', '')
    mkdirSync(path('.cmk'))
    execFileSync('mkfifo', [path('.cmk', 'config')])
    const { exitCode, stderr } = await register('--from', from)
    expect(exitCode).toBe(2)
    expect(stderr).toContain('neither the environment nor profile localcloud')
  })

  it('shows what a cloud says in lines of its own, and never the key that it was called with', async () => {
    await writeRelease(path('release'), { name: 'debian-cloud' })
    const escaped = [...cloud.apiKey].map(
      (letter) => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
    )
    const lie = `called with ${cloud.apiKey}\n✔ ${zones[0]?.name} is ready`
    cloud.statusOf = () => ({ isready: true, status: lie })
    const said = await register('--from', from)
    expect(said.exitCode, said.stderr).toBe(0)
    cloud.refuseAll = `{"x": {"errorcode": 431, "errortext": "${escaped.join('')}\\n✔ debian-cloud is ready"}}`
    const refused = await register('--from', from)
    expect(refused.exitCode).toBe(3)
    for (const { stderr } of [said, refused]) {
      expect(stderr).not.toContain(cloud.apiKey)
      expect(stderr).not.toMatch(/^✔ (debian-cloud|east) is ready$/m)
    }
    expect(said.stderr).toContain('  east: called with … ✔ east is ready\n')
  })

  it('prints how system VM templates are seeded, and asks no server', async () => {
    await writeRelease(path('release'), {
      metadata: `[default]\nversion = 4.22.0.0\n\n[kvm-x86_64]\ntemplatename = systemvm-kvm-4.22.0-x86_64\nfilename = ${file}\nguestos = Debian GNU/Linux 12 (64-bit)\n`,
    })
    const { exitCode, stdout, stderr } = await register('--from', from)
    expect(exitCode, stderr).toBe(0)
    expect(stdout).toContain(`cloud-install-sys-tmplt -m /mnt/secondary -h kvm -u '${from}/${file}' -F`)
    expect(stdout).toMatch(
      /^cmk register template name='systemvm-kvm-4\.22\.0-x86_64' .*templatetype='SYSTEM'/m,
    )
    expect(cloud.called).toEqual([])
    expect((await register('--from', from, '--system')).exitCode).toBe(0)
    expect(cloud.templates[0]?.parameters.get('templatetype')).toBe('SYSTEM')
  })

  it.each([
    [
      'a wrong secret',
      { CLOUDSTACK_SECRET_KEY: 'planted-wrong' },
      [],
      3,
      /refuses listZones: unable to verify user credentials and\/or request signature \(401\)/,
    ],
    [
      'no CloudStack there',
      { CLOUDSTACK_API_URL: 'http://127.0.0.1:9/client/api' },
      [],
      3,
      /cannot reach 127\.0\.0\.1:9/,
    ],
    ['no credentials', { CLOUDSTACK_API_KEY: '' }, [], 2, /neither the environment nor profile localcloud/],
    [
      'a login in the address',
      { CLOUDSTACK_API_URL: 'http://me:planted@127.0.0.1/' },
      [],
      2,
      /not the address of CloudStack’s API/,
    ],
    [
      'a login without a user',
      { CLOUDSTACK_API_URL: 'http://:planted@127.0.0.1/' },
      [],
      2,
      /not the address of CloudStack’s API/,
    ],
    ['a login in --from', {}, ['--from', 'https://:planted@mirror.example.org'], 2, /--from is not a URL/],
    ['an unknown zone', {}, ['--zone', 'north'], 2, /no zone "north"[\s\S]*east, west & south/],
    ['an unknown OS type', {}, ['--os-type', 'Debian 99'], 2, /has no OS type "Debian 99"/],
  ])('says what is wrong: %s', async (_what, environment, words, expected, said) => {
    await writeRelease(path('release'), { name: 'debian-cloud' })
    for (const [name, value] of Object.entries(environment)) vi.stubEnv(name, value)
    const { exitCode, stdout, stderr } = await register('--from', from, ...words)
    expect(exitCode).toBe(expected)
    expect(stderr).toMatch(said)
    expect(`${stdout}${stderr}`).not.toContain('planted')
    expect(cloud.templates).toEqual([])
  })

  it('needs an address to download from', async () => {
    await writeRelease(path('release'), { name: 'debian-cloud' })
    expect((await register()).stderr).toContain('--from is missing')
    expect((await register('--from', 'ftp://mirror.example.org')).exitCode).toBe(2)
  })
})

describe('a signature', () => {
  it('is that of CloudStack’s documents', () => {
    // The example of "Signing API requests" in CloudStack's developer guide.
    const parameters = {
      apikey: 'plgWJfZK4gyS3mOMTVmjUVg-X-jlWlnfaUJ9GAbBbf9EdM-kAYMmAiLqzzq1ElZLYq_u38zCm0bewzGUdP66mg',
      command: 'listUsers',
      response: 'json',
    }
    const secret = 'VDaACYb0LV9eNjTetIOElcVQkvJck_J_QljX_FcHRj87ZKiy0z0ty0ZsYBkoXkY9b7eq1EhwJaw7FF3akA3KBQ'
    expect(signatureOf(parameters, secret)).toBe('TTpdDq/7j/J58XCRHomKoQXEQds=')
  })
})
