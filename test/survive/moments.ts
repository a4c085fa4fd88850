/** Moments of a build at which something is killed, drawn by chance that a seed repeats. */

/** A generator of numbers from 0 to 1 (mulberry32). */
export function chance(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let mixed = Math.imul(state ^ (state >>> 15), state | 1)
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

export type Victim = 'build' | 'packer' | 'qemu' | 'qemu-img' | 'mmdebstrap'

export interface Moment {
  /** Part or stage that has to have begun; `start` is the program itself. */
  readonly phase: string
  /** When, as a share of what the phase usually takes; more than 1 is what follows, such as the sealing of a stage. */
  readonly share: number
  readonly victim: Victim
}

/** What can be killed while a phase goes on, and how often the phase is chosen. */
const phases: readonly {
  readonly names: readonly string[]
  readonly weight: number
  readonly victims: readonly Victim[]
}[] = [
  { names: ['start'], weight: 2, victims: ['build'] },
  { names: ['base'], weight: 4, victims: ['build', 'build', 'mmdebstrap'] },
  { names: ['boot'], weight: 6, victims: ['build', 'packer', 'qemu'] },
  {
    names: ['greet', 'install_hello', 'cleanup', 'zerodisk'],
    weight: 9,
    victims: ['build', 'packer', 'qemu'],
  },
  { names: ['shutdown'], weight: 5, victims: ['build', 'packer', 'qemu'] },
  { names: ['repack', 'export kvm'], weight: 4, victims: ['build', 'qemu-img'] },
]

/** Names of phases of a build that makes everything. */
export const allPhases: readonly string[] = phases.flatMap(({ names }) => names)

/** Draws a moment in one of the phases that lie ahead. */
export function drawMoment(random: () => number, ahead: readonly string[]): Moment {
  const pick = <Item>(items: readonly Item[]) => items[Math.floor(random() * items.length)] as Item
  const possible = phases
    .map((phase) => ({ ...phase, names: phase.names.filter((name) => ahead.includes(name)) }))
    .filter(({ names }) => names.length > 0)
  const total = possible.reduce((sum, { weight }) => sum + weight, 0)
  let left = random() * total
  const phase = possible.find(({ weight }) => {
    left -= weight
    return left < 0
  }) as (typeof phases)[number]
  return { phase: pick(phase.names), share: 1.2 * random(), victim: pick(phase.victims) }
}
