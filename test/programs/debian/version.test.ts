import { execa } from 'execa'
import { expect, it } from 'vitest'
import { compareVersions } from '../../../src/debian/version.ts'
import { describeWith } from '../../support/tools.ts'

/** Each rule of deb-version(7), and versions from Debian's archive that have been misread elsewhere. */
const versions = [
  ...['0', '1', '1.0', '1.00', '01.0', '1.0-0', '1.0-1', '1.0-1.1', '1.0-10', '1.0-2'],
  ...['1.0~', '1.0~~', '1.0~~a', '1.0~rc1-1', '1.0+b1', '1.0+', '1.0.', '1.0a', '1.0A', '1.0-a', '1.0-~'],
  ...['0:1.0', '1:0.9', '2:0', '10:0', '1:1-1-1', '1.0-1-1', '1:1:1-1'],
  ...['3.5.1-1', '3.5.4-1~deb13u1', '3.5.4-1~deb13u2', '3.5.4-1+deb13u1', '3.5.4-1~bpo12+1'],
  ...['2.41-12', '2.41-12+deb13u1', '6.12.9-1', '6.12.10-1', '20230311', '20230311+deb12u1'],
  ...['1.0+git20240101120000.0123456789abcdef', '99999999999999999999', '99999999999999999998'],
  ...[
    '1.2.3-1ubuntu1',
    '1.2.3-1ubuntu1.1',
    '1.2.3.4',
    '1.2.3a.4',
    '1.2.3+dfsg-1',
    '1.2.3+dfsg1-1',
    '9~',
    '~',
  ],
]

describeWith(['dpkg'], 'Debian’s order of versions', () => {
  it('is that of dpkg', async () => {
    const sorted = [...versions].sort(compareVersions)
    const pairs = sorted.slice(1).map((version, index) => [sorted[index] as string, version] as const)
    // Both are orders: they agree on all pairs if they agree on neighbors.
    const answers = await Promise.all(
      pairs.map(async ([one, other]) => {
        const { exitCode } = await execa('dpkg', ['--compare-versions', one, 'lt', other], { reject: false })
        const back = await execa('dpkg', ['--compare-versions', other, 'lt', one], { reject: false })
        return exitCode === 0 ? -1 : back.exitCode === 0 ? 1 : 0
      }),
    )
    const wrong = pairs.filter(
      ([one, other], index) => Math.sign(compareVersions(one, other)) !== answers[index],
    )
    expect(answers).toContain(0)
    expect(wrong).toEqual([])
  })
})
