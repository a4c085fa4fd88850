/** The cost of a change that makes a stage and all after it again, by the stage's position and by how the guest starts. */

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

/** In this order: the last build of a stage resumes the state that the one before it has kept. */
export const changes: readonly Change[] = stages.flatMap(([stage, where]) => {
  const again = ['--from', stage, ...withoutExports]
  return [
    { job: `${where} changed: boot`, words: [...again, ...withoutStates] },
    { job: `${where} changed: boot, and states kept`, words: again },
    { job: `${where} changed: resume`, words: again },
  ]
})

/** What all of it would cost without layers. */
export const withoutLayers: Change = {
  job: 'any change, without layers',
  words: ['--no-cache', ...withoutExports, ...withoutStates],
}
