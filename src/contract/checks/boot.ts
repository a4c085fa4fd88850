/** Checks of a guest that boots: its consoles, network interfaces, and units. */

import { setTimeout as sleep } from 'node:timers/promises'
import { archs } from '../../arch.ts'
import { hasSign } from '../../qemu/console-signs.ts'
import type { DeviceModel } from '../../targets/device-model.ts'
import { deviceModels } from '../../targets/registry.ts'
import { failed, judge, type SceneCheck } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { byUefi, everyFile, type Scene } from '../scenes.ts'

const login: SceneCheck = {
  id: 'B1',
  group: 'boot',
  at: 'scene',
  scenes: [...everyFile, ...byUefi, 'port'],
  needs: 'nothing',
  does: 'waits for a login prompt on the serial console, and on the virtio console where the model has one',
  run: async ({ guest, model, record, limit, expected }) => {
    const { serialPort } = archs[expected.arch]
    const seconds = record.loginSeconds
    if (seconds === undefined) return failed(record.trouble?.text ?? 'no login prompt')
    const { hasVirtioConsole = false }: DeviceModel = deviceModels[model]
    const faults = seconds > limit(60) ? [`it took ${seconds.toFixed(0)} s`] : []
    if (hasVirtioConsole && !(await asksOnVirtioConsole(guest, limit(10))))
      faults.push('no login prompt on hvc0')
    const where = hasVirtioConsole ? `${serialPort} and hvc0` : serialPort
    return judge(faults, `${where} in ${seconds.toFixed(0)} s with ${deviceModels[model].summary}`)
  },
}

/** Each console has its own getty, and neither waits for the other. */
async function asksOnVirtioConsole(guest: Scene['guest'], withinSeconds: number): Promise<boolean> {
  const deadline = performance.now() + withinSeconds * 1000
  for (;;) {
    if (hasSign(await guest.virtioConsole(), 'loginPrompt')) return true
    if (performance.now() > deadline) return false
    await sleep(500)
  }
}

const interfaces: SceneCheck = {
  id: 'B2',
  group: 'boot',
  at: 'scene',
  scenes: [...everyFile, ...byUefi],
  does: 'lists the network interfaces that are devices',
  run: async ({ guest }) => {
    const names = await linesOf(guest, 'for i in /sys/class/net/*/device; do basename "${i%/device}"; done')
    const wanted = guest.options.networks.map((_, index) => `eth${index}`)
    return judge(
      names.sort().join() === wanted.join() ? [] : [`${names.join(' ')}, not ${wanted.join(' ')}`],
      names.join(' '),
    )
  },
}

const whole: SceneCheck = {
  id: 'G1',
  group: 'boot',
  at: 'scene',
  scenes: [...everyFile, ...byUefi, 'port', 'no-data', 'no-serial'],
  does: 'waits until systemd has come up, and lists failed units with their last words',
  run: async ({ guest, model, limit }) => {
    const [state = ''] = await linesOf(guest, 'systemctl is-system-running --wait', limit(120))
    const { failingUnits = {} }: DeviceModel = deviceModels[model]
    const failedUnits = await linesOf(
      guest,
      "systemctl list-units --state=failed --no-legend --plain | awk '{ print $1 }'",
    )
    const explained = failedUnits.filter((unit) => unit in failingUnits)
    const faults = await Promise.all(
      failedUnits
        .filter((unit) => !explained.includes(unit))
        .map(
          async (unit) =>
            `${unit}: ${(await linesOf(guest, `journalctl -b -o cat -n 3 -u ${unit}`)).join(' / ')}`,
        ),
    )
    const isUp = state === (explained.length === 0 ? 'running' : 'degraded') && faults.length === 0
    const reasons = explained.map((unit) => `${unit} fails here, as ${failingUnits[unit]}`)
    return judge(isUp ? [] : [`the system is ${state}`, ...faults], [state, ...reasons].join('; '))
  },
}

/** The value is the last of the variable's five bytes. */
const secureBootVariable = '/sys/firmware/efi/efivars/SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c'

const firmware: SceneCheck = {
  id: 'G15',
  group: 'boot',
  at: 'scene',
  scenes: byUefi,
  does: 'looks for the firmware in /sys/firmware/efi, and at its variable SecureBoot',
  run: async ({ guest, model }) => {
    const [kind = ''] = await linesOf(
      guest,
      `if [ ! -d /sys/firmware/efi ]; then echo BIOS
       elif [ "$(od -An -t u1 -j 4 -N 1 ${secureBootVariable} | tr -d ' ')" = 1 ]; then echo UEFI in Secure Boot mode
       else echo UEFI; fi`,
    )
    const { uefi }: DeviceModel = deviceModels[model]
    const wanted = uefi === 'secure' ? 'UEFI in Secure Boot mode' : 'UEFI'
    return judge(kind === wanted ? [] : [`started by ${kind}, not ${wanted}`], kind)
  },
}

export const bootChecks: readonly SceneCheck[] = [login, whole, interfaces, firmware]
