/** What a change costs that makes one stage and all after it again: by how early the stage is, and how the guest comes up. */

export interface Change {
  readonly job: string
  /** Words for `build`. */
  readonly words: readonly string[]
}

const stages = [
  ['build_time', 'the first stage'],
  ['install_systemvm_packages', 'a stage in the middle'],
  ['authorized_keys', 'a stage of the last third'],
  ['cleanup', 'one of the last two'],
] as const

/** Everything up to the last layer; what exports cost is another job. */
const withoutExports = ['--until', 'zerodisk']
const withoutStates = ['--set', 'machine.savedStatesMiB=0']

/** In this order: the second build of a stage wakes the guest that the first has left asleep. */
export const changes: readonly Change[] = stages.flatMap(([stage, where]) => {
  const again = ['--from', stage, ...withoutExports]
  return [
    { job: `${where} changed: boot`, words: [...again, ...withoutStates] },
    { job: `${where} changed: boot, and states kept`, words: again },
    { job: `${where} changed: wake`, words: again },
  ]
})

/** What all of it would cost without layers. */
export const withoutLayers: Change = {
  job: 'any change, without layers',
  words: ['--no-cache', ...withoutExports, ...withoutStates],
}
