"""The SDN controller as a process: sessions with agents, its database, the northbound interface."""
