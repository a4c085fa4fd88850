#!/bin/sh
# configure_cloud_init.sh: lets only CloudStack's scripts start cloud-init, and adds the names that they use.
# uses: nothing    leaves: /etc/cloud/cloud.cfg.d/cloudstack.cfg, /etc/systemd/system-generators/cloud-init-generator, /opt/cni/bin, /usr/lib/cni, a cloud-init.service
set -eu

# Nothing may pull it in at boot, and its units must start for Kubernetes nodes and shared file systems, where CloudStack's
# scripts start them by name. /etc/cloud/cloud-init.disabled, which no script removes, would keep trixie's from starting.
rm -f /etc/cloud/cloud-init.disabled
mkdir -p /etc/systemd/system-generators
ln -sfn /dev/null /etc/systemd/system-generators/cloud-init-generator

# CloudStack's scripts edit the list of sources, which must be one line.
cat >/etc/cloud/cloud.cfg.d/cloudstack.cfg <<'END'
datasource_list: ['CloudStack']
datasource:
  CloudStack:
    max_wait: 120
    timeout: 50
END

# cloud-init 24.3 renamed this to cloud-init-network.service, and made it part of a process that has to run first.
if [ ! -e /usr/lib/systemd/system/cloud-init.service ]; then
  cat >/etc/systemd/system/cloud-init.service <<'END'
[Unit]
Description=cloud-init up to its network stage, as CloudStack starts it
DefaultDependencies=no
Wants=cloud-init-main.service cloud-init-local.service cloud-init-network.service
After=cloud-init-main.service cloud-init-local.service cloud-init-network.service
Conflicts=shutdown.target
Before=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/bin/true

[Install]
WantedBy=cloud-init.target
END
fi

# Kubernetes nodes unpack their network plug-ins into the first of these, and trixie's containerd, of which they take the
# default configuration, looks for them in the second.
mkdir -p /opt/cni/bin
[ -e /usr/lib/cni ] || ln -s /opt/cni/bin /usr/lib/cni

echo 'configure_cloud_init: for CloudStack alone'
[ -e /usr/lib/systemd/system/cloud-init.service ] || systemd-analyze verify --recursive-errors=no cloud-init.service
python3 -c 'import sys, yaml; yaml.safe_load(sys.stdin)' </etc/cloud/cloud.cfg.d/cloudstack.cfg
[ -d /usr/lib/cni/. ]
