import { expect, it } from 'vitest'
import { debianKeyring } from '../../../src/doctor/host-packages.ts'
import { hostTools } from '../../../src/host/tool-table.ts'
import { readPackages } from '../../support/containerfile.ts'

it('the Containerfile installs what setup looks for, and little else', () => {
  const wanted = [...hostTools().map((tool) => tool.package), debianKeyring.package]
  const others = ['ca-certificates', 'nodejs', 'npm']
  expect(readPackages()).toEqual([...new Set([...wanted, ...others])].sort())
})
