import { defineStage } from '../src/api.ts'

export const configure_cloud_init = defineStage({
  name: 'configure_cloud_init',
  summary: "lets only CloudStack's scripts start cloud-init, and adds the names that they use",
  from: import.meta.url,
  packages: () => ['cloud-init', 'containerd'],
  leaves: () => [
    '/etc/cloud/cloud.cfg.d/cloudstack.cfg',
    '/etc/systemd/system-generators/cloud-init-generator',
    '/opt/cni/bin',
    '/usr/lib/cni',
  ],
  timeoutSeconds: 300,
})
