/** The SPDX document of a release, judged by the format's own schema, and by the tools of those who define it. */

import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { Ajv } from 'ajv'
import { expect, it } from 'vitest'
import type { Package } from '../../src/debian/dpkg-status.ts'
import { parseLicenses } from '../../src/debian/licenses.ts'
import type { InputPackage } from '../../src/provenance/inputs.ts'
import { renderSpdx } from '../../src/release/spdx.ts'
import { useFolder } from '../support/folder.ts'
import { describeJudge, hasProgram } from './judges.ts'

const path = useFolder()
const schema = process.env.SPDX_SCHEMA ?? ''

const subject = {
  fileName: 'sample-1.0-x86_64',
  release: '1.0',
  suite: 'trixie',
  debianVersion: 13,
  sourceDateEpoch: 1_767_312_000,
  files: [{ file: 'sample-1.0-x86_64-kvm.qcow2', sha256: 'a'.repeat(64) }],
}

/** Names that make the same identifier, and all kinds of licenses; or the document that `JUDGED_SPDX` names. */
function makeDocument(): string {
  if (process.env.JUDGED_SPDX !== undefined) return readFileSync(process.env.JUDGED_SPDX, 'utf8')
  const header = 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/'
  const licenses: Readonly<Record<string, readonly string[]>> = {
    'libstdc++6': parseLicenses(`${header}\n\nFiles: *\nLicense: GPL-3+ with Libtool exception\n`),
    'libstdc--6': parseLicenses(`${header}\n\nFiles: *\nLicense: GPL-2+ or Artistic, and Expat\n`),
    'linux-image': parseLicenses(`${header}\n\nFiles: *\nLicense: public-domain and BSD-3-clause\n`),
    'of-an-older-record': ['BSD-3-Clause and/or GPL-3.0-or-later', 'MIT'],
    prose: [],
  }
  const packages = Object.keys(licenses).map(
    (name): Package => ({
      name,
      version: '1:2.0~rc1+b2-3',
      architecture: 'amd64',
      status: 'installed',
      source: { name: `source-of-${name}`, version: '2.0' },
      priority: 'optional',
      dependsOn: [],
    }),
  )
  const inputs = packages.map(
    ({ name, version, architecture }): InputPackage => ({
      name,
      version,
      architecture,
      sha256: name === 'prose' ? null : 'b'.repeat(64),
      file: null,
      licenses: [...(licenses[name] ?? [])],
    }),
  )
  return renderSpdx(subject, packages, inputs)
}

describeJudge('the schema of SPDX 2.3', { 'SPDX_SCHEMA, the path of a schema': existsSync(schema) }, () => {
  const judge = (document: unknown) => {
    const validate = new Ajv({ strict: false, allErrors: true }).compile(
      JSON.parse(readFileSync(schema, 'utf8')),
    )
    return validate(document) ? [] : validate.errors
  }

  it('allows the document', () => {
    expect(judge(JSON.parse(makeDocument()))).toEqual([])
  })

  it('refuses one with a field that it does not have', () => {
    expect(judge({ ...JSON.parse(makeDocument()), licenses: [] })).not.toEqual([])
  })
})

describeJudge('pyspdxtools', { pyspdxtools: hasProgram('pyspdxtools') }, () => {
  const judge = (text: string) => {
    writeFileSync(path('sample.spdx.json'), text)
    const { status, stderr } = spawnSync('pyspdxtools', ['-i', path('sample.spdx.json')], {
      encoding: 'utf8',
    })
    return { status, stderr }
  }

  it('finds the document valid', () => {
    expect(judge(makeDocument())).toEqual({ status: 0, stderr: '' })
  })

  it('finds a reference to a license that is not described', () => {
    const { hasExtractedLicensingInfos: _all, ...document } = JSON.parse(makeDocument())
    expect(judge(JSON.stringify(document)).status).not.toBe(0)
  })
})
