# Three controllers that stand in for each other, behind one address. Copy this folder to <pillar_roots>/openstack, give
# the hosts their minion ids and addresses, then: salt-run openstack.secrets_generate && salt-run openstack.validate
openstack:
  cloud: saltern
  release: "2025.2"
  region: RegionOne
  # Where users find the cloud. Clients, load balancers and the catalogue use it.
  vip: 192.0.2.10
