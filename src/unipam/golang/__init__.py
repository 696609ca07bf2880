"""How Go reads JSON and prints structures, which foreign systems' configurations and texts rest on."""
