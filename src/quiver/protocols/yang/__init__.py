"""The YANG modules of a node, and the domain's structs as their instances (RFC 7950; ETSI GS QKD 015).

* `quiver-kms.yang`: what is written to a node (`provision`, `entries`) and what it tells (`report`, `events`).
* `etsi-qkd-sdn-node.yang`, `etsi-qkd-node-types.yang`: the standard's tree, a view of the same node (`etsi_node`,
  `etsi_events`); its UUIDs come from names (`uuids`).
* `library` has all modules that a node serves, these and the IETF's, and the schema made of them.

Instances are lxml elements. Reading them trusts nobody: whatever a stranger wrote ends in a value within bounds, or in an
error that names the leaf and shows no value.
"""
