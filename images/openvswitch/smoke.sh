# The database is made, kept, and served; what an agent asks of it is answered.
export OVS_RUNDIR=/tmp/run OVS_DBDIR=/tmp/db
mkdir /tmp/run /tmp/db
openvswitch-db &
retry ovs-vsctl --timeout=1 --db=unix:/tmp/run/db.sock --no-wait init
ovs-vsctl --db=unix:/tmp/run/db.sock --no-wait add-br br-int
ovs-appctl -t /tmp/run/ovsdb-server.ctl exit
wait
openvswitch-db > /tmp/log 2>&1 &
retry ovs-vsctl --timeout=1 --db=unix:/tmp/run/db.sock br-exists br-int
! grep "made" /tmp/log

# Every library of the switch is there
ovs-vswitchd --version
ovs-dpctl --version
ovs-ofctl --version
