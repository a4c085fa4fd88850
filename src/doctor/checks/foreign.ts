/** Checks what images of another architecture need. */

import type { Arch } from '../../arch.ts'
import { foreignAdvice, foreignFault } from '../../host/foreign.ts'
import { findTools } from '../../host/tools.ts'
import { type Finding, fault, ok, warning } from '../check.ts'

/** Checks that programs of the architecture run, by running one. */
export async function checkForeign(arch: Arch): Promise<Finding> {
  const found = await foreignFault(arch)
  if (found === undefined) return ok(`programs of ${arch} run, emulated`)
  return fault(found, foreignAdvice(arch))
}

/** The same for an architecture that the pipeline has variants of, but that nobody asked for. */
export async function checkOther(arch: Arch): Promise<Finding> {
  const { faults } = await findTools({ arch })
  const missing = faults.filter(({ tool }) => tool.need !== 'optional').map(({ needed }) => needed)
  const advice = `only its variants need that: npm run setup -- --yes --arch ${arch}`
  if (missing.length > 0) return warning(`its variants cannot be built: no ${missing.join(', ')}`, advice)
  const found = await foreignFault(arch)
  return found === undefined ? ok('its variants can be built, emulated') : warning(found, foreignAdvice(arch))
}
