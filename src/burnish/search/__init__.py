"""Search for networks: small U-Nets whose cost and fidelity are predicted from their graphs."""
