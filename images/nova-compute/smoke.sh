python3 -c "import libvirt, os_vif; os_vif.initialize(); libvirt.getVersion()"

nova-compute --version
uptime

qemu-img create -f qcow2 /tmp/disk 1M
qemu-img info --output=json /tmp/disk | grep qcow2

echo hello > /tmp/file
genisoimage -quiet -o /tmp/config -V config-2 -r -J /tmp/file

mkfs.ext4 -V

python3 -c "
import runpy
name = runpy.run_path('/usr/local/bin/saltern-nova-hypervisor')
assert 'cpu_mode = none' in name['section']('qemu')
"
