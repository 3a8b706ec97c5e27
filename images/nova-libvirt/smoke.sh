libvirtd --version
virsh --version
ovs-vsctl --version
if ldd /usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so | grep "not found"; then exit 1; fi
id libvirt-qemu
# else a start may hang: see the Dockerfile
/sbin/dmidecode --version
# no cgroup can be left in here, and it says so
saltern-libvirt-start true 2>&1 | grep "refused: .* cannot be left"

# the small guest boots, emulated (libvirtd itself needs rights that this container has not)
qemu-system-x86_64 -no-user-config -nodefaults -machine pc,accel=tcg -m 128 -display none -serial file:/tmp/serial -kernel /usr/share/saltern/guest/vmlinuz -initrd /usr/share/saltern/guest/initrd -append 'console=ttyS0 no_timer_check' &
for minute in 1 2; do
    for part in 1 2 3 4 5 6; do if retry grep GUEST-READY /tmp/serial; then break 2; fi; done
done
grep GUEST-READY /tmp/serial
