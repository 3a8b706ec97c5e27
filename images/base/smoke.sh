grep -q ^keystone: /etc/passwd
kolla_copy_cacerts
