# Sourced by kolla_start. keepalived takes the file of a killed predecessor for a running one and ends at once; and it does
# not start without a file that lies beside its configuration, where a mount hides the image's.
rm -f /run/keepalived.pid /run/vrrp.pid /run/checkers.pid /run/bfd.pid
options=keepalived.config-opts
[ ! -e /usr/share/keepalived/$options ] || [ -e /etc/keepalived/$options ] || cp /usr/share/keepalived/$options /etc/keepalived/
