/** Commands that make an image the system VM template of a cloud that runs the image's release. */

import { isBefore } from '../config/release.ts'
import { quote } from '../host/shell-words.ts'
import { type CloudImage, registrationOf } from './images.ts'

const script = '/usr/share/cloudstack-common/scripts/storage/secondary/cloud-install-sys-tmplt'

/** @param url where the file is served; undefined if it is a file in the current folder */
export function renderSeeding(image: CloudImage, url: string | undefined): string {
  const { hypervisor, name, arch, release } = image
  return [
    `# ${name}: ${hypervisor}, CloudStack ${release}`,
    ...(arch === 'x86_64'
      ? seeding(image, url)
      : ['# A new cloud: the script does not support architectures; use the API.']),
    '# A running cloud, once it has a storage VM: as the root admin.',
    ...registering(image, url ?? `https://…/${image.file}`),
    '',
  ].join('\n')
}

// --- internal ---

function seeding({ seed, file }: CloudImage, url: string | undefined): readonly string[] {
  const source = url === undefined ? `-f ${quote(file)}` : `-u ${quote(url)}`
  return [
    '# A new cloud: on the management server, with secondary storage mounted.',
    `${script} -m /mnt/secondary -h ${seed} ${source} -F`,
  ]
}

function registering(image: CloudImage, url: string): readonly string[] {
  const words = Object.entries(registrationOf(image, url)).map(([name, value]) => `${name}=${quote(value)}`)
  return [
    `cmk list ostypes description=${quote(image.osType)} filter=id`,
    `cmk register template ${words.join(' ')} zoneids=-1 ostypeid=…`,
    `cmk list templates templatefilter=all name=${quote(image.name)} filter=name,zonename,isready,status`,
    ...(isBefore(image.release, [4, 19])
      ? ['# Before 4.19, only an upgrade makes it a system VM template: register it before the upgrade.']
      : []),
  ]
}
