# One machine that does everything. Copy this folder to <pillar_roots>/openstack, give the host its minion id and
# address, then: salt-run openstack.secrets_generate && salt-run openstack.validate
# Every key is described in docs/configuration.md.
openstack:
  cloud: saltern
  release: "2025.2"
  hosts:
    ctl1:
      address: 192.0.2.11
      roles: [control, database, messaging, loadbalancer, network, compute, storage, builder]
