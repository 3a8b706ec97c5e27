test -f /usr/share/novnc/vnc_lite.html

cat > /tmp/nova.conf <<CONF
[DEFAULT]
state_path = /tmp
CONF
nova-novncproxy --config-file /tmp/nova.conf --web /usr/share/novnc --vnc-novncproxy_host 127.0.0.1 --vnc-novncproxy_port 6080 &
retry python3 -c "
from urllib.request import urlopen
assert b'noVNC' in urlopen('http://127.0.0.1:6080/vnc_lite.html', timeout=5).read()
"
