"""What the files of the runner ``openstack`` share; the one place of shared code that imports Salt."""
