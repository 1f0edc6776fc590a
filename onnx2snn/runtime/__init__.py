"""Running spiking networks: backends, sessions that step, spike counts."""
