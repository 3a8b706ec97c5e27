export HOME=/tmp RABBITMQ_NODENAME=rabbit@localhost RABBITMQ_MNESIA_BASE=/tmp/mnesia
export RABBITMQ_ENABLED_PLUGINS_FILE=/tmp/plugins
echo "[rabbitmq_management]." > /tmp/plugins
echo cookie > /tmp/.erlang.cookie
chmod 0400 /tmp/.erlang.cookie
rabbitmq-server &
retry rabbitmq-diagnostics -q check_port_listener 15672
rabbitmq-diagnostics -q check_running
