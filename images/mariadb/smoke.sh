mariadb-backup --no-defaults --version

socat -V

ip -V

# the first member of a Galera cluster, from an empty data directory
mariadb-install-db --no-defaults --datadir=/tmp/data --skip-test-db
mariadbd --no-defaults --datadir=/tmp/data --socket=/tmp/socket --skip-grant-tables --bind-address=127.0.0.1 \
    --binlog-format=ROW --innodb-autoinc-lock-mode=2 --wsrep-on=ON --wsrep-provider=/usr/lib/galera/libgalera_smm.so \
    --wsrep-cluster-address=gcomm:// --wsrep-node-address=127.0.0.1 &
retry mariadb --no-defaults -S /tmp/socket -e "select 1"
mariadb --no-defaults -S /tmp/socket -e "show status like 'wsrep_local_state_comment'" | grep Synced
