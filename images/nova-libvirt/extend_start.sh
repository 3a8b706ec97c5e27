# Sourced by kolla_start before it runs the command: libvirtd is started by a program that first decides whether instances
# can be accelerated and leaves the container's cgroups.
case "${1:-}" in
libvirtd | */libvirtd) set -- /usr/local/bin/saltern-libvirt-start "$@" ;;
esac
