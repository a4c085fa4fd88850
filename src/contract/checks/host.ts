/** Checks how a machine copes with real hosts: slow, short of memory, without a serial port, or suddenly gone. */

import { parseFstab } from '../../disk/fstab.ts'
import { readText } from '../../disk/image-files.ts'
import { type ContentCheck, failed, judge, passed, type SceneCheck, skipped } from '../check.ts'
import { linesOf } from '../lines-of.ts'
import { routerRoles, type SceneName } from '../scenes.ts'
import { defaultKernelWords } from './content.ts'

const optionalMounts: ContentCheck = {
  id: 'G10',
  group: 'boot',
  at: 'content',
  does: 'reads the fstab, and checks whether emergency.target is masked',
  run: async ({ files }) => {
    const mounts = parseFstab((await readText(files, '/etc/fstab')) ?? '')
    const optional = mounts.filter(({ path, type }) => type === 'swap' || /^\/boot(\/|$)/.test(path))
    const nameOf = ({ path, type }: (typeof mounts)[number]) => (type === 'swap' ? type : path)
    const faults = optional
      .filter(({ options }) => !options.includes('nofail'))
      .map((mount) => `${nameOf(mount)} has no nofail`)
    const masked = await files.stat('/etc/systemd/system/emergency.target')
    if (masked?.target !== '/dev/null') faults.push('emergency.target is not masked')
    return judge(faults, `${optional.map(nameOf).join(' and ')} may be missing; emergency.target is masked`)
  },
}

const swap: SceneCheck = {
  id: 'G10',
  group: 'boot',
  at: 'scene',
  scenes: ['secstorage'],
  does: 'counts the swap in use; turns it off, starts a unit, and counts again',
  run: async ({ guest, limit }) => {
    const inUse = 'tail -n +2 /proc/swaps'
    const wanted = parseFstab((await guest.run('cat /etc/fstab')).stdout).filter(
      ({ type }) => type === 'swap',
    )
    const until = `for i in $(seq ${limit(10)}); do [ $(${inUse} | wc -l) -ge ${wanted.length} ] && break; sleep 1; done`
    const used = await linesOf(guest, `${until}; ${inUse}`, limit(20))
    const faults =
      used.length < wanted.length ? [`of ${wanted.length} in the fstab, ${used.length} in use`] : []
    // Any unit will do: with it, systemd also starts everything that belongs to the boot and is off.
    const startUnit = 'systemd-run --quiet --wait true; sleep 1'
    const left = await linesOf(
      guest,
      `swapoff --all; udevadm settle; ${startUnit}; ${inUse}; swapon --all`,
      limit(30),
    )
    if (left.length > 0) faults.push(`it comes back: ${left.join(', ')}`)
    return judge(faults, `${used.length} in use; once off, it stays off`)
  },
}

const repair: ContentCheck = {
  id: 'G11',
  group: 'boot',
  at: 'content',
  does: 'reads the arguments of the kernel that boots by default',
  run: async ({ files }) => {
    const config = await readText(files, '/boot/grub/grub.cfg')
    if (config === undefined) return skipped('there is no /boot/grub/grub.cfg: see A6')
    const words = defaultKernelWords(config)
    const faults = words.includes('fsck.repair=yes') ? [] : ['no fsck.repair=yes']
    if (!words.some((word) => /^panic=[1-9]/.test(word))) faults.push('no panic= with a time limit')
    return judge(faults, words.filter((word) => /^(fsck\.|panic=)/.test(word)).join(' '))
  },
}

const checkedRoot: SceneCheck = {
  id: 'G11',
  group: 'boot',
  at: 'scene',
  scenes: ['secstorage', 'no-serial'],
  does: "looks for the log of the initramfs's check of the root file system",
  run: async ({ guest }) => {
    const { stdout } = await guest.run('cat /run/initramfs/fsck.log')
    const said = stdout.split('\n').find((line) => /\d\/\d+ blocks/.test(line) && line.includes(': '))
    if (said === undefined)
      return failed(`the initramfs has not checked the root: ${stdout.trim() || 'no log'}`)
    return passed(said.trim())
  },
}

const routerScenes: readonly SceneName[] = [...routerRoles, 'no-serial']

/** `systemctl daemon-reload` refuses to run with less free space than this in /run. */
const reloadMiB = 16

const memory: SceneCheck = {
  id: 'G12',
  group: 'role',
  at: 'scene',
  scenes: routerScenes,
  does: 'looks for processes that ran out of memory, measures /run, and has systemd reload its units',
  run: async ({ guest, limit }) => {
    const killed = await linesOf(guest, "dmesg | grep -iE 'out of memory|oom-kill|page allocation failure'")
    const reload = await guest.run('systemctl daemon-reload', limit(60))
    const faults = killed.slice(0, 3)
    if (reload.exitCode !== 0) faults.push(`daemon-reload: ${reload.stderr.trim()}`)
    const [total = 0, available = 0, run = 0, free = 0] = (
      await linesOf(
        guest,
        "awk '/^Mem(Total|Available):/ { print $2 }' /proc/meminfo; df --output=size,avail /run | tail -n 1 | xargs -n 1",
      )
    ).map((text) => Math.round(Number(text) / 1024))
    if (run < total * 0.18) faults.push(`/run has ${run} MiB, which is less than a fifth of memory`)
    if (free < reloadMiB * 1.5) faults.push(`${free} MiB are free in /run`)
    const { cpus, memoryMiB } = guest.options
    return judge(
      faults,
      `of ${memoryMiB} MiB with ${cpus} CPU: ${available} available; of ${run} in /run: ${free} free`,
    )
  },
}

const withoutSerialPort: SceneCheck = {
  id: 'G13',
  group: 'boot',
  at: 'scene',
  scenes: ['no-serial'],
  does: 'asks the kernel for its consoles, and systemd for a login on them',
  run: async ({ guest }) => {
    const [consoles = ''] = await linesOf(guest, 'cat /sys/class/tty/console/active')
    const gettys = await linesOf(
      guest,
      "systemctl list-units --no-legend --plain '*getty@*.service' | awk '{ print $1, $4 }'",
    )
    // A kernel may list the serial console that its command line names even if there is no such port.
    const faults = consoles.split(' ').includes('tty0') ? [] : [`the consoles are ${consoles || 'none'}`]
    if (!gettys.includes('getty@tty1.service running')) faults.push(gettys.join(', ') || 'no login anywhere')
    return judge(faults, `${consoles}, ${gettys.join(', ')}`)
  },
}

export const hostContentChecks: readonly ContentCheck[] = [optionalMounts, repair]
export const hostSceneChecks: readonly SceneCheck[] = [swap, checkedRoot, memory, withoutSerialPort]
