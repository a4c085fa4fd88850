/** A client of others, where the host has it, agrees with the CloudStack that our tests ask: it signs as CloudStack's clients do. */

import { execFile } from 'node:child_process'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { startCloud, type TestCloud, zones } from '../support/cloudstack-api.ts'
import { describeJudge } from './judges.ts'

/** Debian's, for which it was installed. */
const python = '/usr/bin/python3'

/** The folder of Exoscale's `cs`, a Python package. */
const { CS_LIB: library } = process.env

describeJudge('the client cs', { cs: library !== undefined }, () => {
  let cloud: TestCloud

  beforeEach(async () => {
    cloud = await startCloud()
  })
  afterEach(() => cloud.close())

  const ask = (secret: string, words: readonly string[], version = '') =>
    new Promise<{ readonly failed: boolean; readonly said: string }>((resolve) => {
      execFile(
        python,
        ['-m', 'cs', ...words],
        {
          env: {
            ...process.env,
            PYTHONPATH: library,
            CLOUDSTACK_ENDPOINT: cloud.url,
            CLOUDSTACK_KEY: cloud.apiKey,
            CLOUDSTACK_SECRET: secret,
            CLOUDSTACK_METHOD: version === '' ? 'get' : version,
            no_proxy: '127.0.0.1',
          },
        },
        (error, stdout, stderr) => resolve({ failed: error !== null, said: `${stdout}${stderr}` }),
      )
    })

  it.each(['get', 'post'])('is understood by %s', async (method) => {
    const { failed, said } = await ask(cloud.secretKey, ['listZones'], method)
    expect(failed, said).toBe(false)
    expect(said).toContain(zones[1]?.name)
  })

  it('is understood with every character that clients encode in ways of their own', async () => {
    // Without ~, which Java encodes and Python does not: with it, cs signs something else than CloudStack checks.
    const name = "a b*c!(d)'+e/ü&f=g,h"
    const words = [
      'url=http://x/y',
      'format=QCOW2',
      'hypervisor=KVM',
      'ostypeid=1',
      'zoneids=-1',
      'displaytext=x',
    ]
    const { failed, said } = await ask(cloud.secretKey, ['registerTemplate', `name=${name}`, ...words])
    expect(failed, said).toBe(false)
    expect(cloud.templates[0]?.parameters.get('name')).toBe(name)
  })

  it('is refused with another secret', async () => {
    const { said } = await ask('another', ['listZones'])
    expect(said).toContain('unable to verify user credentials')
  })
})
