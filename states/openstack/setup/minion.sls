{#- Applied by openstack.setup to every host of the cloud. -#}
The minion runs the health engine:
  openstack_setup.minion_configured: []
