import { defineStage, z } from '../src/api.ts'

export const configure_systemvm_services = defineStage({
  name: 'configure_systemvm_services',
  summary:
    "installs CloudStack's files and their signature, and enables at boot only services that no role controls",
  from: import.meta.url,
  settings: {
    /**
     * Hash of CloudStack's files that the management server compares: `md5` up to 4.21, `sha512` from 4.22.
     * @default 'sha512'
     */
    signature: z.enum(['md5', 'sha512']).default('sha512'),
    /**
     * What runs in the guest, as a tree to lay over its root: a folder, a tarball, or the URL of one that ends in
     * `#sha256=` or `#sha512=` and its checksum. For CloudStack's own: its whole sources, or the `cloud-scripts.tgz` of
     * its packages.
     * @default this project's own first boot
     */
    payload: z.string().min(1).default('./payload'),
  },
  packages: () => ['apache2', 'nftables', 'openssh-server', 'python3', 'ssl-cert'],
  files: (settings) => ({ system: './system', payload: settings.payload }),
  fileKinds: { payload: 'cloudstack' },
  filesTop: { payload: ['boot', 'etc', 'home', 'lib', 'opt', 'root', 'srv', 'usr', 'var'] },
  environment: (settings, image) => ({ RELEASE: image.release, SIGNATURE: settings.signature }),
  leaves: () => [
    '/etc/cloudstack-release',
    '/etc/iptables/systemvm-deny.nft',
    '/etc/issue',
    '/etc/ntpsec/ntp.conf',
    '/etc/profile.d/cloud.sh',
    '/etc/ssh/sshd_config.d/systemvm.conf',
    '/etc/sysctl.conf',
    '/etc/sysctl.d/zz-systemvm.conf',
    '/etc/systemd/system-preset/20-systemvm.preset',
    '/etc/systemd/system/ntp.service',
    '/etc/systemd/system/systemvm-filter.service',
    '/opt/cloud/bin',
    '/usr/share/cloud/cloud-scripts.tgz',
    '/var/cache/cloud/cloud-scripts-signature',
  ],
  timeoutSeconds: 900,
})
