{#- A container failed: into the recovery engine's queue, by the event's id. Glue only; the engine decides.
    Reactors of your own on openstack/health/... belong into files of your own (docs/healing.md). -#}
enqueue a failed container:
  runner.openstack.heal_enqueue:
    - args:
      - event: {{ data['data'] | json }}
      - sender: {{ data['id'] | json }}
