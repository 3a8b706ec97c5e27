{#- Everything that can be checked of this host before a run. -#}
The host can take what the model wants:
  openstack_precheck.passed:
    - cheap: False
    - now: {{ pillar.get('saltern_step', {}).get('now') | tojson }}
