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
  networks:
    tunnel: {mtu: 1500}                 # of the interface that has the address
    provider:
      physnet1: {bridge: br-ex}         # no interface: a network of this machine alone
    external:
      name: public
      provider: physnet1
      cidr: 172.29.0.0/24
      floating: [172.29.0.100, 172.29.0.150]
      host_address: 172.29.0.1/24       # by which this machine reaches the floating addresses
