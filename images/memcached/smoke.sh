memcached -V

memcached -s /tmp/socket &
retry ask /tmp/socket "version\r\n" VERSION
