# Sourced by kolla_start: what this host's hypervisor is, found out by nova_libvirt's start, becomes configuration.
saltern-nova-hypervisor > /tmp/hypervisor.conf
