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
SLAVES_PER_REQUEST: Final = 16  # SAEs that share one key
EVENTS: Final = 4096  # messages and requests that wait for an agent's next turn; more are refused at once
WAITING_REQUESTS: Final = 1024  # requests that wait for pad; more are refused at once
DELIVERY_WAIT: Final = 2.0  # seconds
DELIVERY_WAIT_MAX: Final = 60.0  # seconds; HTTP clients and proxies rarely wait longer for an answer

# --- Between nodes and towards devices ---
PEER_BODY: Final = 4 * KIB * KIB  # bytes; 64 blocks of 32 KiB in base64
DEVICE_BODY: Final = 4 * KIB * KIB  # bytes
CONNECTION_AGE: Final = 3600.0  # seconds; rule 6
ITEMS_PER_MESSAGE: Final = 64  # items of one kind that share a message
PEER_TEXT: Final = 512  # characters of one name or reason in a message; a path's key has three parts
PEER_ENTRIES: Final = 65_536  # of one list or table in a message; a segment of 64-bit keys has 16,384 key_IDs
KEY_ID_LENGTH: Final = 128  # characters of a source key_ID; a UUID has 36, some vendors put more into it
PEER_CONNECTIONS: Final = 2  # to one node; every answer is prompt, so two never wait for each other
PEER_CONNECT: Final = 3.0  # seconds for TCP and TLS; a node that is down is noticed within CREDIT_LIFE
PEER_ANSWER: Final = 10.0  # seconds for a whole call; a commit on a slow disk fits in, a dead connection is given up
REPEAT_FIRST: Final = 0.5  # seconds until an unanswered message is sent again; doubles
MEET_PAUSE: Final = 0.02  # seconds until a message that came too early for its receiver is sent again; doubles
REPEAT_MOST: Final = 8.0  # seconds; the longest pause between two repeats
HEARTBEAT: Final = 1.0  # seconds; rule 2

# --- Listeners ---
CONNECTIONS: Final = 1024  # open connections of one listener; at some 60 KiB each
HANDSHAKES: Final = 128  # connections of one listener that have not shown their certificate yet
HANDSHAKE_TIME: Final = 10.0  # seconds; the flights of an ML-DSA handshake over a slow line
CONNECTION_IDLE: Final = 120.0  # seconds without a request; clients keep theirs for less
CONNECTION_LAST: Final = 60.0  # seconds before CONNECTION_AGE from which on each answer is the last one
BODY_TIME: Final = 10.0  # seconds from a request's header to the end of its body
CLOSING_TIME: Final = 3.0  # seconds that requests under way may take when a listener stops
RETRY_AFTER: Final = 1  # seconds, whole ones (RFC 9110 section 10.2.3); buffers fill within them
METRIC_SAMPLES: Final = 16_384  # samples in one answer of the metrics plane; a node of 64 links has some 1,000
WATCHERS: Final = 16  # connections of the metrics plane

# --- Link pads ---
SEGMENT_MIN: Final = 4 * KIB  # bytes; design section 3: at least this, or SEGMENT_TIME of keys
SEGMENT_MAX: Final = 64 * KIB  # bytes; keeps one hand-over under a second on a metro link
SEGMENT_TIME: Final = 10.0  # seconds of keys after which a smaller segment is handed over
LINK_CHECK: Final = 16  # bytes at a segment's start that its check spends (Poly1305's s)
PAD_LEVEL: Final = 1024 * KIB  # bytes per direction; the default of a link's level
PAD_LEVEL_MAX: Final = 8 * KIB * KIB  # bytes per direction; two of them fit into SEGMENTS_PER_LINK of the smallest
SEGMENTS_PER_LINK: Final = 4096  # records; 16 MiB of the smallest segments
HANDOVERS_OPEN: Final = 4  # segments of one link under hand-over at a time
PIECES_PER_RANGE: Final = 128  # segments of which one range takes; a slow link's segments are small and many
ACCEPTED_HOLES: Final = 256  # separate intervals of one segment; more are refused until some merge
SEEN_PER_LINK: Final = 1 << 17  # remembered fingerprints of key_IDs and keys of one link
FETCH_RETRY: Final = 5.0  # seconds that "not found" is asked again: the key may not have arrived yet

HANDOVER_TIME: Final = 30.0  # seconds until an announced segment that nobody confirmed is burned

# --- Priming ---
NODES_PER_PATH: Final = 64  # nodes of one path
VERSIONS_PER_PATH: Final = 2  # versions of a path that a node keeps
PRIORITIES: Final = 8  # classes of paths
WINDOW: Final = 64  # sequences of a path version that are open above its floor
HASH_KEY: Final = 32  # bytes at a block's start
BLOCK_MIN: Final = 4 * KIB  # bytes; a filled block
BLOCK_MAX: Final = 256 * KIB  # bytes; a filled block
DEPTH_MAX: Final = 16 * KIB * KIB  # bytes; 4,096 of the smallest blocks
SEQUENCE_TIME: Final = 5.0  # seconds until the source voids a sequence without `ready`
CREDIT_PAUSE: Final = 0.05  # seconds between two grants of one path that changed; 20 small messages a second
BLOCKS_PER_PATH: Final = 4096  # ready blocks of one path version at its destination
SEEN_AHEAD_SEQUENCES: Final = 1 << 20  # by how much a peer's word may raise a source's next number at one meeting
SEEN_AHEAD_BYTES: Final = 1 << 40  # likewise its byte count; more than any rollback explains
MARK_MAX: Final = 1 << 53  # sequence numbers and byte counts; exact in every reader of JSON
ROUTES_KEPT: Final = 1024  # marks of path versions that are gone: their numbers are never used again
RETIRED_VERSIONS: Final = 8  # versions of a path, no longer configured, whose ready blocks are kept
CREDIT_LIFE: Final = 3.0  # seconds; three missed repeats
CREDIT_HONOURED: Final = (
    CREDIT_LIFE + 1.0
)  # seconds that pad stays set aside for credit told; it travels, and so does its use
BLOCK_LIFE: Final = 86_400.0  # seconds at the source; the destination keeps it for twice that

# --- Delivery ---
TAG: Final = 16  # bytes of pad that one tag spends (Poly1305's s)
LARGEST_REQUEST: Final = HASH_KEY + KEY_BYTES_PER_REQUEST + TAG  # bytes of pad
CONTAINERS_OPEN: Final = 256  # containers of one source without an outcome
CONTAINER_BYTES_OPEN: Final = LARGEST_REQUEST  # bytes of pad in them; burned after a restart (rule 2)
CONTAINER_TIME: Final = 5.0  # seconds until a container without an answer is withdrawn
UNFETCHED_BATCHES: Final = 65_536  # records of keys that wait for their slaves
UNFETCHED_PER_SOURCE: Final = 16_384  # of them from one node, so that none fills the table alone
UNFETCHED_LIFE: Final = 3600.0  # seconds until an unclaimed key expires
WRONG_TAGS: Final = 3  # in a row, until the path is suspended
REFUSALS: Final = 3  # of containers, in a row, until the path rests
REFUSAL_PAUSE: Final = 2.0  # seconds of that rest
SUSPENSION: Final = 60.0  # seconds

# --- Meeting ---
FORMER_INCARNATIONS: Final = 1024  # remembered of each peer and of this node

# --- Key database ---
AUDIT_LINES: Final = 100_000  # newest lines that the database keeps, some 20 MB; older ones belong into a log archive
AUDIT_TRIM: Final = 64  # commits between two removals of older lines
LOG_COMMITS: Final = 1024  # commits after which the write-ahead log is cut off
LOG_BYTES: Final = 4 * KIB * KIB  # of the log, after which it is cut off: bounds the pause that this makes
LOG_TIME: Final = 5.0  # seconds after which it is cut off with the next commit: erased bytes go with it
