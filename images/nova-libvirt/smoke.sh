libvirtd --version
virsh --version
ovs-vsctl --version
if ldd /usr/lib/*/libvirt/connection-driver/libvirt_driver_qemu.so | grep "not found"; then exit 1; fi
id libvirt-qemu

# the small guest boots, emulated (libvirtd itself needs rights that this container has not)
timeout 120 qemu-system-x86_64 -no-user-config -nodefaults -machine pc,accel=tcg -m 128 -display none -serial file:/tmp/serial -kernel /usr/share/saltern/guest/vmlinuz -initrd /usr/share/saltern/guest/initrd -append console=ttyS0 &
retry grep GUEST- /tmp/serial || retry grep GUEST- /tmp/serial || retry grep GUEST- /tmp/serial
retry grep GUEST-READY /tmp/serial
