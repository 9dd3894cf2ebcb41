"""Every limit in one place, with its unit and its reason.

A full table refuses the new and never drops a key (rule 10).
"""

from typing import Final

KIB: Final = 1024

# --- Requests of SAEs (ETSI GS QKD 014 clauses 5.3 and 6.2) ---
KEY_SIZE_DEFAULT: Final = 256  # bits; AES-256
KEY_SIZE_MIN: Final = 64  # bits; below this a key can be guessed
KEY_SIZE_MAX: Final = 65_536  # bits; one-time-pad users ask for long keys
KEYS_PER_REQUEST: Final = 128  # the standard's own example value
KEY_BYTES_PER_REQUEST: Final = 64 * KIB  # bytes of key in one request: number × size
SAE_BODY: Final = 64 * KIB  # bytes; a Key IDs object of 128 entries has 7 KiB
SAE_ID_LENGTH: Final = 128  # characters

# --- Between nodes and towards devices ---
PEER_BODY: Final = 4 * KIB * KIB  # bytes; 64 blocks of 32 KiB in base64
DEVICE_BODY: Final = 4 * KIB * KIB  # bytes
CONNECTION_AGE: Final = 3600.0  # seconds; rule 6
