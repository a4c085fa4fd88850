import { mkdtemp, rm } from 'node:fs/promises'
import { chooseAccelerator } from '../host/accelerator.ts'
import { findFreePort } from '../host/ports.ts'
import { deviceModels, type DeviceModelName } from './device-models.ts'
import { locateDisk } from './disk-source.ts'
import { startGuest } from './guest.ts'
const [file, model] = process.argv.slice(2) as [string, DeviceModelName]
const folder = await mkdtemp('/tmp/v/g-')
const source = await locateDisk(file)
console.log(JSON.stringify(source))
const acceleration = await chooseAccelerator({ arch: 'x86_64', kernels: [], cacheDir: '/tmp/v/cache' })
const signal = AbortSignal.timeout(400_000)
const port = await findFreePort()
const guest = await startGuest({ folder, backing: source.node, diskBytes: 5040 * 1024 ** 2, model: deviceModels[model], acceleration, cpus: 2, memoryMiB: 512,
  networks: [{ network: '10.0.2.0/24', host: '10.0.2.2', forward: { hostPort: port, guestPort: 3922 } }, { network: '10.0.3.0/24', host: '10.0.3.2' }], ports: ['org.qemu.guest_agent.0'], signal })
try {
  await guest.waitForConsole(/login:/, 300)
  console.log(model, 'login', guest.seconds())
  await guest.waitForAgent(100)
  console.log('agent', guest.seconds())
  for (const c of ['virt-what', 'systemd-detect-virt', 'systemctl list-units --state=failed --no-legend --plain', 'ls /sys/class/net', 'lsblk -o NAME,SIZE,FSTYPE; ls -l /sys/block/*/device/driver /sys/class/net/*/device/driver', 'systemctl is-system-running', 'systemd-analyze', 'systemd-analyze blame | head -15', 'ls -l /dev/virtio-ports; ss -Hltn; ip -br a; free -m']) {
    const t = performance.now()
    const r = await guest.run(c)
    console.log(`$ ${c} [${Math.round(performance.now() - t)} ms]\n${r.stdout}${r.stderr}`)
  }
  console.log(await guest.screenshot())
} catch (e) { console.log(e) } finally { await guest.close(); void rm }
