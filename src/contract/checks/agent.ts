/** Checks of the guest agent, a KVM host's only way into the guest. */

import { failed, judge, passed, type SceneCheck } from '../check.ts'

const agentAnswers: SceneCheck = {
  id: 'C1',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage', 'port'],
  needs: 'nothing',
  does: 'asks the agent again and again from power-on, as the host does',
  run: async ({ record, limit }) => {
    const { agentSeconds } = record
    if (agentSeconds === undefined) return failed(record.trouble?.text ?? 'it never answered')
    const text = `after ${agentSeconds.toFixed(0)} s`
    return agentSeconds > limit(60) ? failed(text) : passed(text)
  },
}

const sync: SceneCheck = {
  id: 'C2',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage'],
  needs: 'nothing',
  does: 'sends guest-sync with 1234567890',
  run: async ({ record }) =>
    judge(
      record.syncAnswer === 1234567890 ? [] : [`it answered ${JSON.stringify(record.syncAnswer)}`],
      '1234567890',
    ),
}

const freeze: SceneCheck = {
  id: 'G4',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage'],
  does: 'freezes the file systems, asks for their state, and thaws them',
  run: async ({ guest, limit }) => {
    const agent = await guest.waitForAgent(limit(30), limit(30))
    const frozen = await agent.call('guest-fsfreeze-freeze', undefined, limit(30))
    const state = await agent.call('guest-fsfreeze-status')
    const thawed = await agent.call('guest-fsfreeze-thaw', undefined, limit(30))
    const faults =
      state === 'frozen' && Number(frozen) > 0 && frozen === thawed
        ? []
        : [`${frozen} frozen, ${state}, ${thawed} thawed`]
    return judge(faults, `${frozen} file systems`)
  },
}

const agentAddresses: SceneCheck = {
  id: 'G5',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage'],
  needs: 'taken',
  does: 'asks for guest-network-get-interfaces',
  run: async ({ guest, bootArguments, limit }) => {
    const agent = await guest.waitForAgent(limit(30), limit(30))
    const found = JSON.stringify(await agent.call('guest-network-get-interfaces'))
    const missing = (bootArguments?.addresses ?? []).filter(({ address }) => !found.includes(`"${address}"`))
    return judge(
      missing.map(({ address }) => `no ${address}`),
      `${bootArguments?.addresses.length} addresses`,
    )
  },
}

const shutdown: SceneCheck = {
  id: 'G6',
  group: 'hand-over',
  at: 'scene',
  scenes: ['secstorage'],
  endsGuest: true,
  does: 'asks the agent to power off, and waits for the machine to go off',
  run: async ({ guest, limit }) => {
    const agent = await guest.waitForAgent(limit(30), limit(30))
    const started = performance.now()
    // The agent sends no reply on success.
    agent.call('guest-shutdown', { mode: 'powerdown' }, limit(60)).catch(() => undefined)
    if (!(await guest.hasEnded(limit(60)))) return failed(`still on after ${limit(60)} s`)
    return passed(`off after ${((performance.now() - started) / 1000).toFixed(0)} s`)
  },
}

export const agentChecks: readonly SceneCheck[] = [agentAnswers, sync, freeze, agentAddresses, shutdown]
