# Three controllers and a compute host. Copy this folder to <pillar_roots>/openstack, give the hosts their minion ids
# and addresses, then: salt-run openstack.secrets_generate && salt-run openstack.validate
openstack:
  cloud: saltern
  release: "2025.2"
  region: RegionOne
  # Where users find the cloud; clients, load balancers and the catalogue use it. Left out, it is the address of the
  # first loadbalancer host. An address of its own has to be held by something of yours: Saltern moves none yet.
  # vip: 192.0.2.10
