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
MEET_PAUSE: Final = 0.02  # seconds until a message that came before a meeting or a path's entry is sent again; doubles
REPEAT_MOST: Final = 8.0  # seconds; the longest pause between two repeats
HEARTBEAT: Final = 1.0  # seconds; rule 2
OUTBOX: Final = (
    65_536  # items that other nodes have not answered, after which nothing is begun; MODEL_ENTRIES need 12,288
)

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
VIRTUAL_LINK_LENGTH: Final = 128  # characters of a virtual link's name; it stands in every message of its paths
VERSIONS_PER_PATH: Final = 2  # versions of a path that a node keeps
PRIORITIES: Final = 8  # classes of paths
WINDOW: Final = 64  # sequences of a path version that are open above its floor
HASH_KEY: Final = 32  # bytes at a block's start
BLOCK_MIN: Final = 4 * KIB  # bytes; a filled block
BLOCK_MAX: Final = 256 * KIB  # bytes; a filled block
DEPTH_MAX: Final = 16 * KIB * KIB  # bytes; 4,096 of the smallest blocks
SEQUENCE_TIME: Final = 5.0  # seconds until the source voids a sequence without `ready`
CREDIT_LOOK: Final = 0.2  # seconds between two grants where only time has passed, at least
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
BLOCK_LIFE: Final = 86_400.0  # seconds of service at the source; the destination keeps it for twice that

# --- Delivery ---
TAG: Final = 16  # bytes of pad that one tag spends (Poly1305's s)
LARGEST_REQUEST: Final = HASH_KEY + KEY_BYTES_PER_REQUEST + TAG  # bytes of pad
CONTAINERS_OPEN: Final = 256  # containers of one source without an outcome
CONTAINER_BYTES_OPEN: Final = LARGEST_REQUEST  # bytes of pad in them; burned after a restart (rule 2)
CONTAINER_TIME: Final = 5.0  # seconds until a container without an answer is withdrawn
UNFETCHED_BATCHES: Final = 65_536  # records of keys that wait for their slaves
UNFETCHED_PER_SOURCE: Final = 16_384  # of them from one node, so that none fills the table alone
UNFETCHED_LIFE: Final = 3600.0  # seconds of service until an unclaimed key expires
WRONG_TAGS: Final = 3  # in a row, until the path is suspended
REFUSALS: Final = 3  # of containers, in a row, until the path rests
REFUSAL_PAUSE: Final = 2.0  # seconds of that rest
SUSPENSION: Final = 60.0  # seconds

# --- Meeting ---
FORMER_INCARNATIONS: Final = 1024  # remembered of each peer and of this node
FORMER_CONTACTS: Final = 1024  # nodes without a common link or path whose commit numbers are kept; some 300 bytes each
FORMER_RUNS: Final = 16  # remembered of each peer, in memory: messages are on their way for seconds, not for days

# --- Key database ---
SERVICE_TIME_KEPT: Final = (
    60.0  # seconds after which service time gets a commit of its own; a busy node keeps each second
)
AUDIT_LINES: Final = 100_000  # newest lines that the database keeps, some 20 MB; older ones belong into a log archive
AUDIT_TRIM: Final = 64  # commits between two removals of older lines
LOG_COMMITS: Final = 1024  # commits after which the write-ahead log is cut off
LOG_BYTES: Final = 4 * KIB * KIB  # of the log, after which it is cut off: bounds the pause that this makes
LOG_TIME: Final = 5.0  # seconds after which it is cut off with the next commit: erased bytes go with it

# --- Management plane: transports of NETCONF ---
MANAGEMENT_CONNECTIONS: Final = 64  # of one listener: controllers, operators and auditors, not their number of calls
MANAGEMENT_HANDSHAKES: Final = 16  # of one listener that have not shown a key or a certificate yet
MANAGEMENT_KEPT: Final = 8  # connections of one listener that only controllers get: nobody else shuts them out
MANAGEMENT_PER_USER: Final = 16  # connections of one user at one listener
KEEPALIVE_IDLE: Final = 30.0  # seconds of silence after which TCP asks whether the peer is still there
KEEPALIVE_INTERVAL: Final = 10.0  # seconds between two such questions
KEEPALIVES: Final = 3  # of them without an answer end the connection, and with it the locks that its session holds
MANAGEMENT_USERS: Final = 256  # of one agent
SSH_CHANNELS: Final = 4  # of one connection: one session to poll, one for notifications, and room
SSH_SUBSYSTEM_TIME: Final = 5.0  # seconds from a channel's opening until its subsystem is asked for
SSH_KEEPALIVE: Final = 30.0  # seconds of silence after which SSH asks whether the peer still answers
SSH_KEEPALIVES: Final = 3  # of them without an answer end the connection
SSH_KEYS_PER_USER: Final = 8
SSH_ATTEMPTS: Final = 12  # keys that a client may offer, each asked for and then shown: six keys, as OpenSSH allows
SSH_REKEY_BYTES: Final = 1 << 28  # bytes in one direction; RFC 4253 section 9 recommends at most 2^30
SSH_REKEY_TIME: Final = 1200.0  # seconds; RFC 4253 section 9 recommends at most an hour
SSH_WINDOW: Final = 1024 * KIB  # bytes that a peer may send on a channel before they are read
STREAM_BUFFER: Final = 256 * KIB  # bytes received and not read yet, after which the transport is stopped
STREAM_PART: Final = 64 * KIB  # bytes that one read gives at most
CONFIGURATION_AUDITED: Final = 256  # entries of one change that its line in the audit names
NETCONF_ANSWER: Final = 30.0  # seconds until a client gives a call up; a commit on a slow disk and a large state fit in
NETCONF_STATE: Final = 64 * KIB * KIB  # bytes of one reply that a client takes; a node with 4,000 paths tells 3 MiB
STREAM_WRITE: Final = 30.0  # seconds that a peer may leave what it is sent before it counts as gone

# --- Routing ---
HOPS_PER_PATH: Final = NODES_PER_PATH - 1  # a route's default; what an entry can hold
DISJOINT_PATHS: Final = 8  # of one virtual link; no node of a real network has more neighbours in different directions
NOMINAL_RATE: Final = 10_000  # bit/s; what a virtual link without a rate is taken to use: ON_THE_FLY_DEPTH in a minute
UNMEASURED_RATE: Final = (
    100_000  # bit/s of a link, where none was measured yet: no path without a rate makes a detour for what nobody knows
)
PAD_HORIZON: Final = 600.0  # seconds over which standing pad counts as rate: what a repair or a new route may take
ALLOCATION_ROUNDS: Final = 60  # solutions of one linear program; it grows by columns after each, and few need twenty
ALLOCATION_LEVELS: Final = 8  # levels of max-min fairness in one class; each is a linear program of its own
ALLOCATION_TRIES: Final = 16  # columns, and demands in the way of each, that rounding tries to move
PAD_AGE: Final = 60.0  # seconds after which a reading of pad counts as none; some polls may be missed

# --- The controller ---
CONTROLLED_NODES: Final = 16_384  # nodes of one network; the largest mesh that is simulated has 10,000
FORMER_NODES: Final = 4096  # that have left while some agent was away, and may hold their addresses still
LINKS_PER_REPORT: Final = 1024  # links of one node; a report with more is not believed
PATHS_PER_REPORT: Final = 65_536  # path versions at one node, likewise
DEMANDS: Final = 65_536  # virtual links that the controller serves
MARKS_KEPT: Final = (
    131_072  # version numbers of paths that are gone, own ones, those of demands apart; likewise of heard ones
)
NAME_LENGTH: Final = 128  # characters of the name of a virtual link, a node or a link
ON_THE_FLY: Final = 4096  # virtual links that agents' events have asked for
ON_THE_FLY_PER_NODE: Final = 64  # of them from one node, so that none fills the table alone
APPLICATIONS_WAITING: Final = (
    32  # pairs of one node that wait for the reports of their ends; so none keeps others from it
)
ON_THE_FLY_DEPTH: Final = 64 * KIB  # bytes; some 1,300 keys of 256 bits, one at a time
ON_THE_FLY_LIFE: Final = 3600.0  # seconds without use until it is given up
AHEAD: Final = 1 << 20  # by how much one agent's word may raise a term or a version at once; more is a lie
FOUND_PER_NODE: Final = 1024  # demands that the paths of one source bring back to a controller without memory of them
TERM_MAX: Final = (
    1 << 32
)  # an agent takes no higher one: TERM_MAX * AHEAD is half of MARK_MAX, and versions follow from terms
TERM_SALT: Final = 1023  # by how much a claimed term may be above the next one; AHEAD holds a thousand leaderships
VOICE_BURST: Final = 256  # entries of the history that one agent may bring at once; a large site has some 20 links
VOICE_PAUSE: Final = 10.0  # seconds for each after that: HISTORY_LINES take one agent that lies eleven days to push out
NOTICES: Final = 4096  # what the controller has to say and nobody has taken yet; more are counted only
EVENTS_HELD: Final = 256  # newest events of a node, for a report that was made before them
POLL_INTERVAL: Final = 5.0  # seconds between two reports of a node; events tell what cannot wait
POLL_LEAST: Final = 0.5  # seconds; a report of a large node costs both sides some ten milliseconds
POLL_MOST: Final = 60.0  # seconds; rates and pad levels older than PAD_AGE count as none
POLLS_MISSED: Final = 3  # after which, and ORDER_TIME, nobody counts on what a node told last of its credit
READ_PAUSE: Final = 0.25  # seconds between two reports that somebody waits for
STEP_PAUSE: Final = 0.02  # seconds between two looks at everything while nothing happens
ORDER_TIME: Final = 10.0  # seconds until an order without an outcome counts as unanswered
ORDER_PAUSE: Final = 0.25  # seconds until an order that failed is given again; doubles up to REPEAT_MOST
GATHER_TIME: Final = 2.0  # seconds that a new leader waits for agents before it chooses its term
ADOPT_TIME: Final = 5.0  # seconds that it then waits for them to be stamped and read before it edits
DOUBT_TIME: Final = 3.0  # seconds in which a second agent must confirm a higher term
DOUBTS: Final = 3  # claims of one agent that nobody confirmed, until its claims are not heard any more
CLAIM_PATIENCE: Final = 30.0  # seconds that an agent may name a link of two others; it may just have been moved
RATE_LIFE: Final = 30.0  # seconds: an older sample of a rate weighs 1/e
FLAP_HALF_LIFE: Final = (
    30.0  # seconds in which the penalty of a link that came and went is halved (RFC 2439 section 4.2)
)
FLAP_CUTOFF: Final = 2.5  # penalty from which on such a link is avoided: the third loss within half a minute
FLAP_REUSE: Final = 1.0  # penalty below which it is used again
MOVE_BURST: Final = 6  # moves of one path that may follow each other at once
MOVE_PAUSE: Final = 5.0  # seconds after which it may move once more: bounds what a lying agent can make others burn
MOVE_HOLD: Final = 30.0  # seconds after a move in which a path is not moved for being better elsewhere
CREDIT_PATIENCE: Final = 3.0  # seconds that a new version may be without credit; its repeats come each second
CREDIT_HOP_TIME: Final = 0.25  # seconds more for each hop of it: grants go from hop to hop, at busy nodes not at once
DRY_PATIENCE: Final = 6.0  # seconds that a path in use may be without credit until another route is tried
DRY_MOST: Final = 120.0  # seconds; what the two above double to where no route helps
LAYING_TIME: Final = 10.0  # seconds until a new version that some node has not taken is given up
PART_PAUSE: Final = 1.0  # seconds after a move until the version before it is let go
DISMISS_TIME: Final = 60.0  # seconds for paths to move off a node that is dismissed, and as many for its entries to go
DRAINING_TIME: Final = 10.0  # seconds for open sequences to end; sources void them after SEQUENCE_TIME
ALLOCATION_INTERVAL: Final = 30.0  # seconds between two global allocations
ALLOCATION_GAIN: Final = (
    0.05  # bit/s gained for each bit/s moved: seconds of pad in open sequences are back in a minute
)
ALLOCATION_MOVES: Final = 4  # paths that an allocation moves at a time

# --- random numbers ---
RANDOM_SILENCE: Final = 10.0  # seconds without a byte, while some are wanted, until a generator counts as failed
RANDOM_STOCK: Final = (
    2 * KEY_BYTES_PER_REQUEST
)  # bytes kept of a generator: the largest request, while the next ones come

# --- NETCONF sessions and datastores ---
NETCONF_MESSAGE: Final = 4 * KIB * KIB  # bytes of one message; an edit of 4,000 path entries
NETCONF_QUERY: Final = 256 * KIB  # bytes of one message of who only reads: a filter with all the nodes that it may have
NETCONF_HELLO: Final = 64 * KIB  # bytes; a router with 500 modules announces 50 KiB
NETCONF_TAGS: Final = 1 << 17  # angle brackets of one message; an element costs some 120 bytes of memory, not its 4
NETCONF_ATTRIBUTES: Final = 1 << 16  # equals signs of one message; likewise
NETCONF_ELEMENT_ATTRIBUTES: Final = 64  # of one element, with prefixes; libxml2 compares each with each
NETCONF_PREFIXES: Final = 64  # declarations in force at one element; lxml walks all of them for one lookup
NETCONF_DEPTH: Final = 64  # nested elements of one message; the deepest of our YANG modules has 8
NETCONF_VALUE: Final = 64 * KIB  # characters of one leaf
NETCONF_SESSIONS: Final = 128  # open sessions of one server, over all its transports
NETCONF_SESSIONS_KEPT: Final = 16  # of them that only controllers get
NETCONF_SESSIONS_PER_USER: Final = 32
NETCONF_HELLO_TIME: Final = 10.0  # seconds from a session's start to the peer's hello
NETCONF_UNSENT: Final = 256 * KIB  # bytes that a peer has not taken yet, above which it is given no more work
NETCONF_UNREAD: Final = NETCONF_MESSAGE + 256 * KIB  # bytes received that no rpc has used yet; more ends the session
NETCONF_EVENTS: Final = 4096  # notifications kept for replay; a subscriber that falls behind them is closed
NETCONF_EVENT: Final = 16 * KIB  # bytes of one notification
NETCONF_CONFIRM_TIME: Final = 600  # seconds; the default of confirm-timeout (RFC 6241 section 8.4.5.1)
NETCONF_CONFIRM_MAX: Final = 86_400  # seconds; nobody watches a rollback for longer than a day
NETCONF_CALLS: Final = 64  # rpcs of one client session without a reply

# --- Events and links of a node ---
EVENTS_KEPT: Final = 1024  # newest events of a run; who has missed more reads the whole state
EXHAUSTED_PAUSE: Final = 10.0  # seconds between two events of one destination whose buffer is exhausted
APPLICATION_PAUSE: Final = 5.0  # seconds between two events of one pair without a path; the first may have been lost
APPLICATIONS_NOTED: Final = (
    4096  # pairs without a path; of more the controller hears when others have been provided for
)
PAD_LOW: Final = 4  # own pad below this part of its level is low
PAD_HIGH: Final = 2  # and above this part no longer: what lies between changes nothing
CREDIT_DRY: Final = 1.0  # seconds without credit that was only used up, until the path counts as dry
PAD_FOR_NEW: Final = 8  # one part of so many of a relay's pad is promised to versions alone that hold no promise yet
PAD_NEW_AT_ONCE: Final = 4  # of which the first to come gets one part of so many; it grows as other promises end
CREDIT_STEPS: Final = 4  # a change of less than one part of so many of the credit left waits for the repeat each second
REACH: Final = 5.0  # seconds without an answer to a heartbeat, until no pad is taken for what goes to that node
RECENT: Final = (
    10.0  # seconds that a request's pad counts as wanted again, fading: who asks steadily is not starved by buffers
)
VOID_GRACE: Final = 0.5  # seconds in which a sequence may still end whose path has lost its credit or has a successor
LINK_BEAT: Final = 0.2  # seconds between two beats of a link; with the next, a cut is noticed within 0.25 to 0.45 s
LINK_SILENCE: Final = 0.25  # seconds after a beat without an answer, until the link is down; one TCP repeat fits in
LINK_SILENCE_MOST: Final = 1.5  # seconds; what the one above rises to where answers have been slow lately
LINK_MEMORY: Final = (
    5.0  # seconds in which a slow answer, or a silence that ended, makes patient; a start is over by then
)
LINK_DOUBT: Final = 0.05  # seconds between the two looks at a silence; what had arrived meanwhile is heard between them
LINK_FIRST: Final = 3.0  # seconds for the first beat of a run to be answered; the neighbour may be starting as well
LINK_ANSWER: Final = 2.0  # seconds for the answer to a beat; that the link is down is noticed before
LINK_CONNECT: Final = 1.0  # seconds to connect along a link, which the first repeat of a lost SYN takes (RFC 6298)
DEVICE_SILENCES: Final = 2  # calls of a device without an answer in a row, until that is a fault
DEVICE_POLL: Final = 2.0  # seconds between two readings of a device's status
DEVICE_POLL_BAD: Final = 1.0  # seconds, while it tells or does anything that is not as it should be
DEVICE_STATUS: Final = 3.0  # seconds for one reading; devices that answer slowly take some 0.1
QBER_ALARM: Final = 0.11  # no secret key above it: P. Shor, J. Preskill, Phys. Rev. Lett. 85, 441 (2000)
QBER_NORMAL: Final = 0.09  # and below it no longer an alarm: what lies between changes nothing

# --- Model of a node (YANG); `quiver-kms.yang` states the same numbers, and a test compares the two ---
MODEL_LINKS: Final = 1024  # QKD links of one node, and neighbours; the largest sites planned have some 20
MODEL_ENTRIES: Final = 4096  # path entries written to one node; at most two versions of a path
MODEL_PATHS: Final = 16_384  # path versions that a node tells of, retired ones included; likewise marks
MARKS_PER_NODE: Final = (
    MODEL_PATHS  # marks of others that the controller keeps on one node's word: what one report can hold
)
MODEL_NODES: Final = 16_384  # addresses in one node's directory; more than any network simulated
MODEL_SAES: Final = 65_536  # SAEs in one node's directory; likewise pairs
MODEL_NAMES: Final = 256  # causes of burning, or names of alarms; there are some 30
MODEL_FACTS: Final = 16  # facts of one alarm; the richest has three
MODEL_ADDRESS: Final = 261  # characters of HOST:PORT: a DNS name has at most 253, and brackets and a port come to it
NETCONF_STATE_TAGS: Final = 2 * (  # angle brackets of one reply that a client takes: elements of the largest state, ...
    MODEL_LINKS * (13 + 7)  # ... link and pad, each with its leaves,
    + MODEL_PATHS * (13 + 4)  # path and mark,
    + MODEL_ENTRIES * (7 + NODES_PER_PATH)  # configured-path,
    + MODEL_NODES * 3  # address,
    + MODEL_SAES * (3 + 3)  # sae and permitted-pair,
    + MODEL_NAMES * (3 + 3)  # burned and alarm,
    + NETCONF_TAGS  # and what is around them, or comes in a newer version
)

# --- The controller's process ---
HISTORY_LINES: Final = (
    100_000  # newest entries that its database keeps, some 30 MB; older ones belong into a log archive
)
HISTORY_TRIM: Final = 64  # commits between two removals of older entries
HISTORY_PAGE: Final = 1000  # entries that one request may ask for
CALLS_WAITING: Final = 1024  # operators' requests that wait for the controller's next turn
SESSION_AGE: Final = (
    CONNECTION_AGE - 300.0
)  # seconds after which a session with an agent is replaced, before that ends it
AGENT_ORDERS: Final = 8  # orders on their way to one agent; the core gives at most one edit, one read and one stamp
AGENT_EVENTS: Final = 256  # events of one agent that the controller has not taken up; then its session is not read on
CONNECTING: Final = (
    32  # agents to which a session is being made at a time: each handshake costs some milliseconds of CPU
)
ALLOCATION_TIME: Final = 120.0  # seconds until a global allocation is given up; the largest measured takes some ten
NORTHBOUND_BODY: Final = 64 * KIB  # bytes of a request; a demand with all its excluded nodes has 10 KiB
NORTHBOUND_CONNECTIONS: Final = 256  # of operators, auditors and their tools
NORTHBOUND_PAGE: Final = 10_000  # entries of one answer; a reader asks for the rest after the last one
NORTHBOUND_ANSWER: Final = 32 * KIB * KIB  # bytes that an operator's tool takes of one answer
LIVE_PERIOD: Final = 1.0  # seconds between two looks at the live state for those who follow it
LIVE_HEARTBEAT: Final = 15.0  # seconds of silence after which a comment is sent; proxies cut connections after 30 to 60
LIVE_READERS: Final = 64  # of the live state
LIVE_WAITING: Final = (
    256  # events that one of them has not taken; it is cut off then, and returns with its last event's id
)
LIVE_REPLAY: Final = 1000  # entries of the history that one who returns is given; of more it reads the history itself
NETCONF_FILTER: Final = 1024  # nodes of one subtree filter; the work of a filter grows with them and with the tree

# --- Consumers of keys (rollover of tunnels) ---
ROLLOVER_INTERVAL: Final = 120.0  # seconds; REKEY_AFTER_TIME of WireGuard (its paper, section 6.1)
ROLLOVER_INTERVAL_MIN: Final = 1.0  # seconds; a round is three round trips and two keys' delivery
ROLLOVER_INTERVAL_MAX: Final = 86_400.0  # seconds
ROLLOVER_PROOF: Final = 150.0  # seconds; a handshake may be 120 s away, is tried every 5, and sessions end after 180
ROLLOVER_BEAT: Final = 5.0  # seconds; a partner that was started again is noticed within them
ROLLOVER_LOOK: Final = 1.0  # seconds between two looks at a tunnel; `wg` tells handshakes by the second
ROLLOVER_PATIENCE: Final = 20.0  # seconds; less than what is left of a session whose handshake is due
ROLLOVER_PAUSE: Final = 1.0  # seconds after a round that failed
ROLLOVER_PAUSE_MOST: Final = 30.0  # seconds; an hour of failed rounds costs 120 keys at most
ROLLOVER_KEEP: Final = 3600.0  # seconds that the last key serves when no new one comes
ROLLOVER_KEEP_MAX: Final = 604_800.0  # seconds; a week
ROLLOVER_BODY: Final = 4 * KIB  # bytes of a message between partners
ROLLOVER_CONNECTIONS: Final = 16  # of partners, of which there is one
ROLLOVER_ANSWER: Final = 30.0  # seconds for an answer of the partner, which may wait for its node
ROLLOVER_NAG: Final = 60.0  # seconds between two log lines about a key that has expired
VICI_TIME: Final = 10.0  # seconds for an answer of charon, which waits for none of its peers
VICI_FORCE: Final = 1.0  # seconds that charon may take to end an IKE_SA without its peer
VICI_NAME: Final = 255  # octets of a name; its length has one octet
VICI_VALUE: Final = 65_535  # octets of a value; its length has two octets
VICI_DEPTH: Final = 4  # sections within sections; swanctl.conf has no deeper ones
IKE_TIME: Final = 5.0  # seconds for an IKE_SA to come up: charon repeats its first message after 4
IKE_RETRY: Final = 10.0  # seconds between two tries; a peer has to answer each
PROGRAM_TIME: Final = 10.0  # seconds that a program may take; the default
PROGRAM_TIME_MAX: Final = 300.0  # seconds
PROGRAM_WORDS: Final = 64  # words of a command line

# --- The link encryptor of our own, a demonstration ---
ENCRYPTOR_FRAMES: Final = 1 << 32  # sealed under one key; NIST SP 800-38D section 8.3, kept though our IVs never repeat
ENCRYPTOR_FRAMES_HUNGRY: Final = (
    1 << 24
)  # after which a new key is wanted: RFC 8446 section 5.5, 2^24.5 records of 16 KiB
ENCRYPTOR_BYTES: Final = 1 << 30  # in both directions, after which a new key is wanted; the default
ENCRYPTOR_BYTES_MIN: Final = 64 * KIB  # a round costs a key and some round trips
ENCRYPTOR_BYTES_MAX: Final = 1 << 38  # ENCRYPTOR_FRAMES_HUNGRY frames of 16 KiB
ENCRYPTOR_PAYLOAD: Final = 65_400  # bytes sealed in one frame; with its header it fits into a UDP datagram of 65,507
ENCRYPTOR_PART: Final = 16 * KIB  # bytes of one stream in one frame
ENCRYPTOR_WINDOW: Final = 2048  # counters below the highest that may still come; some 25 ms of small frames at 1 Gbit/s
ENCRYPTOR_STREAMS: Final = 256  # connections that one end has opened and that are carried at a time
ENCRYPTOR_CREDIT: Final = 256 * KIB  # bytes of one stream that its receiver has not given on yet
ENCRYPTOR_UNSENT: Final = 4 * KIB * KIB  # bytes that the far end has not taken; what control frames may add to credit
ENCRYPTOR_STRANGERS: Final = 8  # connections to the carrier's port that have not shown a frame of ours yet
ENCRYPTOR_BEAT: Final = 1.0  # seconds without a frame after which a keep-alive is sent: it proves the key
ENCRYPTOR_SILENCE: Final = 5.0  # seconds without a frame after which the carrier's connection is made anew
ENCRYPTOR_RETRY: Final = 0.25  # seconds between two attempts to connect
ENCRYPTOR_CONNECT: Final = 5.0  # seconds to connect, and for the first frame of a connection
ENCRYPTOR_BATCH: Final = 64  # datagrams or packets that are taken in one go, so that other work gets its turn
